"""The link to the other side, on descriptors 6 and 7, and the reports of what it said, on descriptor 1."""

from __future__ import annotations

import os

from supervise.errors import PRINTABLE, Temporary, reason
from supervise.fd import CHUNK, Closed, Reader, TimedOut, Writer, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INCOMING, OUTGOING, REPORTS = 6, 7, 1
WRITING = 73  # seconds that a write may be stuck
LONGEST = 2000  # bytes of a report
TIMED_OUT = b"timed out"
ENDED = b"network read error: end of file"


class Link:
    """The other side.

    Args:
        patience: seconds to wait for what it says.

    Its methods raise `Temporary` when it is gone, or has been silent for too long.
    """

    def __init__(self, patience: float) -> None:
        self.reader, self.writer = Reader(INCOMING, patience), Writer(OUTGOING, WRITING)
        self.waiting = bytearray()

    def say(self, data: bytes) -> None:
        """Say *data*, at the latest with the next `flush`."""
        self.waiting += data
        if len(self.waiting) > CHUNK:
            self.flush()

    def flush(self) -> None:
        """Say all that waits."""
        data, self.waiting = bytes(self.waiting), bytearray()
        try:
            self.writer.write(data)
        except TimedOut:
            raise Temporary(b"network write error: " + TIMED_OUT) from None
        except Closed as closed:
            cause = closed.__cause__
            told = reason(cause) if isinstance(cause, OSError) else b"end of file"
            raise Temporary(b"network write error: " + told) from None
        except OSError as error:
            raise Temporary(b"network write error", error) from None

    def line(self, limit: int) -> bytes:
        """The next line with its end; one longer than *limit* comes in pieces without it."""
        line = self._read(lambda: self.reader.line(limit))
        if not line.endswith(b"\n") and len(line) < limit:
            raise Temporary(ENDED)
        return line

    def take(self, size: int) -> bytes:
        """The next *size* bytes, one at least."""
        return self._read(lambda: self.reader.take(size))

    def _read(self, read: Callable[[], bytes | None]) -> bytes:
        try:
            data = read()
        except TimedOut:
            raise Temporary(b"network read error: " + TIMED_OUT) from None
        except OSError as error:
            raise Temporary(b"network read error", error) from None
        if not data:
            raise Temporary(ENDED)
        return data


def report(name: bytes, letter: bytes, said: bytes) -> None:
    """Report what became of the file *name*: K, Z or D, and what the other side said of it.

    Raises:
        Temporary: nobody reads it.
    """
    ip = os.environb.get(b"TCPREMOTEIP")
    line = letter + (b"" if ip is None else ip + b" said: ") + said
    try:
        write_all(REPORTS, name + b"\0" + line[:LONGEST].translate(PRINTABLE) + b"\n")
    except OSError as error:
        raise Temporary(b"unable to write output", error) from None
