"""Look for mistakes in settings."""
