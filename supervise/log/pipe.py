"""Descriptor 0, read in pieces as large as it is busy.

A pipe holds 64 KiB; when a read comes back full, somebody writes faster than we read, and the
pipe is made to hold 1 MiB, so that both sides do more at a time.  An idle service keeps
a small pipe, as all pipes of a user together may hold so much and no more.
"""

import fcntl
import os

SMALL, LARGE = 1 << 16, 1 << 20  # bytes


class Pipe:
    """Reads descriptor 0, which need not be a pipe."""

    def __init__(self) -> None:
        self.size = SMALL

    def read(self, most: int = LARGE) -> bytes:
        """What can be read now, at most *most* bytes; nothing at the end of input.

        Raises:
            OSError: it cannot be read.
        """
        text = os.read(0, min(self.size, most))
        self.came(len(text))
        return text

    def came(self, size: int) -> None:
        """Take note that so many bytes have been read at once."""
        if size == SMALL == self.size:
            self.size = LARGE
            try:
                fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, LARGE)
            except OSError:  # no pipe, or the user has too many large ones
                pass
