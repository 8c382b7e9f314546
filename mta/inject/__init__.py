"""Messages that people and programs of this machine write."""
