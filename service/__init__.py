"""Ready service directories; qmail-setup copies them into a home."""
