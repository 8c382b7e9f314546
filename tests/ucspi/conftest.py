"""Fixtures of the tests about connections."""

from nameserver import name_server, silent_name_server  # noqa: F401
