"""Slots: the numbers by which qmail-send and a spawner name the deliveries that run.

A spawner says first of all how many it runs at a time.  The original says it in one byte, and each number takes
one byte; so do we, up to 255 at a time.  For more a spawner says 0, which the original's qmail-send takes for none
at all, and then the limit in two bytes, the lower one first; then each number takes two bytes, too.
"""

from __future__ import annotations

import os

MOST = 65535


class Slots:
    """How many deliveries run at a time, at most.

    Attributes:
        limit: how many.
        width: bytes of a number.
    """

    def __init__(self, limit: int) -> None:
        self.limit = max(1, min(limit, MOST))
        self.width = 1 if limit <= 255 else 2

    @classmethod
    def read(cls, fd: int) -> Slots | None:
        """What the spawner says on the pipe *fd*; None: it is gone."""
        try:
            limit = os.read(fd, 1)
            if limit == b"\0":
                limit = os.read(fd, 1) + os.read(fd, 1)
        except OSError:
            return None
        return cls(int.from_bytes(limit, "little")) if limit else None

    def __bytes__(self) -> bytes:
        """What a spawner says."""
        return self.pack(self.limit) if self.width == 1 else b"\0" + self.pack(self.limit)

    def pack(self, number: int) -> bytes:
        return number.to_bytes(self.width, "little")

    def unpack(self, data: bytes, at: int = 0) -> int:
        return int.from_bytes(data[at : at + self.width], "little")
