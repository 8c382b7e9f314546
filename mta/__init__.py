"""Mail: accept, queue, deliver, relay, bounce."""
