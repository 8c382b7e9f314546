"""Mail between trusting hosts, fast: QMTP, QMQP and the netstrings that both are made of."""
