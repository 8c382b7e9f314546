"""A message with its envelope, in files without a name, so that no message is too large for the memory.

In front of the message there is room for the fields that it gets; they are put there when they are known, and nothing
is copied twice.
"""

from __future__ import annotations

import os

from mta.queue import codes, envelope
from mta.queue.codes import Refused
from mta.queue.source import Source
from supervise.fd import write_all
from tools.scanner.wire import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

MESSAGE, ENVELOPE = 0, 1
ROOM = 16 << 10  # bytes for fields
SHOWN = 1000  # recipients that others are told


class Parcel:
    """What descriptors 0 and 1 have, read to their ends.

    Attributes:
        size: bytes of the message.
        sender: the envelope's.
        recipients: the first of them, `SHOWN` at most.
        more: how many recipients there are besides.

    Raises:
        Refused: they cannot be read or kept, or the envelope is none.
    """

    def __init__(self) -> None:
        self.message, self.envelope = nameless(), nameless()
        self.start = ROOM
        self.size = 0
        for data in Source(MESSAGE).chunks():
            self.put(data)
        envelope.copy(Source(ENVELOPE).chunks(), self.envelope.fileno())
        self.sender, self.recipients, self.more = self.addresses()

    def put(self, data: bytes) -> None:
        """Add *data* to the message."""
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(self.message.fileno(), view, ROOM + self.size)
                self.size += written
                view = view[written:]
        except OSError:
            raise Refused(codes.WRITE) from None

    def addresses(self) -> tuple[bytes, list[bytes], int]:
        """The sender, some recipients, and how many more there are."""
        found: list[bytes] = []
        more, rest = -1 - SHOWN, b""
        try:
            for data in pieces(self.envelope.fileno(), 0):
                *records, rest = (rest + data).split(b"\0")
                found += [record[1:] for record in records[: 1 + SHOWN - len(found)]]
                more += len(records)
            write_all(self.envelope.fileno(), b"\0")
        except OSError:
            raise Refused(codes.WRITE) from None
        return found[0], found[1:], max(0, more)

    def pieces(self) -> Iterator[bytes]:
        """The message as it came.

        Raises:
            OSError: it cannot be read.
        """
        yield from pieces(self.message.fileno(), ROOM)

    def add(self, fields: bytes) -> None:
        """Put *fields*, `ROOM` bytes at most, in front of the message."""
        try:
            self.start = ROOM - len(fields)
            if os.pwrite(self.message.fileno(), fields, self.start) < len(fields):
                raise Refused(codes.WRITE)
        except OSError:
            raise Refused(codes.WRITE) from None

    def rewind(self) -> int:
        """The message, from its first field on."""
        os.lseek(self.message.fileno(), self.start, os.SEEK_SET)
        return self.message.fileno()

    def hand_on(self) -> None:
        """Be the caller whom a qmail-queue wants: message on descriptor 0, envelope on 1."""
        os.dup2(self.rewind(), MESSAGE)
        os.lseek(self.envelope.fileno(), 0, os.SEEK_SET)
        os.dup2(self.envelope.fileno(), ENVELOPE)


def nameless() -> IO[bytes]:
    """A new file in TMPDIR."""
    from tempfile import TemporaryFile

    try:
        return TemporaryFile(buffering=0)
    except OSError:
        raise Refused(codes.WRITE) from None
