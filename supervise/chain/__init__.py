"""Programs that change one thing and run another."""
