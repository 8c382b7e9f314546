"""Which values a user may have, and which can be printed."""

from __future__ import annotations

from mta.control import MOST_DIGITS
from supervise.errors import Temporary

CONTROL = frozenset((*range(32), 127))  # bytes


def refusal(attribute: str, value: object) -> bytes:
    """Why no user is to get *value* as this *attribute*; empty: one may."""
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(each, bytes) and CONTROL.intersection(each) for each in texts):
        return b"Attribute '%s' contains control characters" % attribute.encode()
    if isinstance(value, int) and len(b"%d" % value) > MOST_DIGITS:
        return b"Attribute '%s' is too large" % attribute.encode()
    return b""


def one_line(name: bytes, value: bytes) -> bytes:
    """*value*, which can be printed as one line.

    Args:
        name: what it is.

    Raises:
        Temporary: there is a line end or a NUL in it: who reads the lines would take one for another.
    """
    if any(byte in b"\n\r\0" for byte in value):
        raise Temporary(name + b" in the table is not a single line")
    return value
