"""Look at settings, queues and logs for what is wrong with them."""
