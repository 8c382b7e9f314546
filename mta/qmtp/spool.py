"""Bytes that wait until all of them are there: few in memory, many in a file without a name."""

from __future__ import annotations

import os
import sys

from supervise.fd import chunks, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

KEPT = 1 << 20  # bytes that stay in memory


class Spool:
    """What is written to it, to be read once.

    Attributes:
        size: the bytes that have been written.
    """

    __slots__ = ("file", "kept", "room", "size")

    def __init__(self) -> None:
        self.size = 0
        self.kept = bytearray()
        self.room = KEPT
        self.file: IO[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Add *data*.

        Raises:
            OSError: the disk is full, or fails.
        """
        self.size += len(data)
        self.kept += data
        if len(self.kept) > self.room:
            self._put_away()

    def pieces(self) -> Iterator[bytes]:
        """All of it, from the beginning.

        Raises:
            OSError: it cannot be read.
        """
        if self.file is not None:
            os.lseek(self.file.fileno(), 0, os.SEEK_SET)
            yield from chunks(self.file.fileno())
        yield bytes(self.kept)

    def _put_away(self) -> None:
        if self.file is None:
            from tempfile import TemporaryFile

            try:
                self.file = TemporaryFile(buffering=0)
            except OSError:  # no folder will have it
                self.room = sys.maxsize
                return
        write_all(self.file.fileno(), memoryview(self.kept))
        self.kept.clear()
