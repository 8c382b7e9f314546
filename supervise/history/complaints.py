"""Complaints about what cannot be read, while all else is."""

from __future__ import annotations

from supervise.command import say
from supervise.errors import TEMPORARY


class Complaints:
    """Says what cannot be read, each thing once; `code` is the exit code that follows from it.

    Args:
        name: of the command that says it.
    """

    def __init__(self, name: bytes) -> None:
        self.name, self.code = name, 0
        self.said: set[bytes] = set()

    def __call__(self, line: bytes) -> None:
        if line not in self.said:
            say(b"%b: warning: %b" % (self.name, line))
        self.said.add(line)
        self.code = TEMPORARY
