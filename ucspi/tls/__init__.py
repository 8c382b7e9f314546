"""TLS for connections: certificates, and the process that speaks it."""
