"""Look at queues and logs for what is wrong with them, and mend it."""
