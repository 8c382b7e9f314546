"""tcpserver and what it counts."""
