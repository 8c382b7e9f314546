"""qmail-send, part by part."""
