"""Logs, read: svlog and what it knows of the directories that multilog writes."""
