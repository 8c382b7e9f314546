"""The queue on disk, and everybody who may put a message into it."""
