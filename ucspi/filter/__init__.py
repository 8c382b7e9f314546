"""Programs that bytes pass through on their way between a program and a connection."""
