"""Mail that daemons look at before the queue takes it."""
