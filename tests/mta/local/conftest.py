"""Fixtures of the tests about deliveries to users of this machine."""

from deliveries import plain, rooted  # noqa: F401
