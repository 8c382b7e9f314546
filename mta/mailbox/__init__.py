"""Formats of mailboxes: Maildir and mbox."""
