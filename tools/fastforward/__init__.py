"""Mail forwarded by tables: sendmail's /etc/aliases, virtual domains, lists in files."""
