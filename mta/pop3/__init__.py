"""Fetching mail: POP3, and who may."""
