"""Read what a submitter handed over, for as long as it makes sense.

A submitter that is gone gets no answer, and what it left behind may never end: a socket that nobody writes to
keeps no process of its own.  So what is there to be read is read, as much as a pipe may still hold, and no more.
"""

from __future__ import annotations

import os
import select

from mta.queue import codes
from mta.queue.codes import Refused
from supervise.fd import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT_BEHIND = 1 << 20  # bytes: the largest pipe that an ordinary user gets


class Source:
    """A descriptor of a submitter.

    Args:
        fd: what is to be read.
        client: the connection whose other end is the submitter; None when that is who runs us.
    """

    def __init__(self, fd: int, client: int | None = None) -> None:
        self.fd, self.client, self.left = fd, client, LEFT_BEHIND

    def chunks(self) -> Iterator[bytes]:
        """All that is there, up to `CHUNK` bytes at a time.

        Raises:
            Refused: it cannot be read, or the submitter is gone before its end.
        """
        try:
            while data := self._read():
                yield data
        except OSError:
            raise Refused(codes.READ) from None

    def _read(self) -> bytes:
        if self.client is not None:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            poll.register(self.client, select.POLLRDHUP)
            ready = dict(poll.poll())
            if self.client in ready:
                if self.fd not in ready or self.left < CHUNK:
                    raise Refused(codes.READ)
                self.left -= CHUNK
        return os.read(self.fd, CHUNK)
