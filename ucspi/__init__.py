"""Connections: addresses, DNS, cdb, rules, and the servers that hand them on."""
