"""Logs: time stamps, selection, rotated directories."""
