"""What became of a message: qmail-why, and how it puts a message's lines together from logs and queue."""
