"""The live table of services."""
