"""SMTP, seen from the server."""
