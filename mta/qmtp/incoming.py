"""A message on its way from a client that speaks netstrings into the queue.

Message and recipients go on to the queue as they come, so a message may have any size and any number of recipients.
The beginning of a list of recipients is waited for before the queue is asked, so that a slow client keeps nobody
else busy unless its list is long.
"""

from __future__ import annotations

import time
from itertools import chain

from mta.queue.envelope import each_of
from mta.queue.submit import Submission
from mta.received import Connection, received
from supervise.environment import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

AHEAD = 256 << 10  # bytes of recipients that are waited for


class Unwanted(Exception):
    """At the end of its recipients it turns out that a message is not to be queued."""


class Incoming:
    """One message; when the block ends without `submit`, nothing is queued.

    Args:
        protocol: how it comes, for its Received line.

    >>> with Incoming(b"QMTP") as incoming: ...
    """

    __slots__ = ("open", "submission")

    def __init__(self, protocol: bytes) -> None:
        self.open = True
        self.submission = Submission()
        self.submission.write(received(Connection(VARIABLES), protocol, time.time()))

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()

    def write(self, pieces: Iterable[bytes], limit: int = 0) -> bool:
        """Add *pieces* to the message; whether they have no more than *limit* bytes (0: any number).

        All of them are read; a message that is too large is refused.
        """
        size = 0
        for piece in pieces:
            size += len(piece)
            if 0 < limit < size:
                self.refuse()
            if self.open:
                self.submission.write(piece)
        return not 0 < limit < size

    def refuse(self) -> None:
        """Queue nothing, whatever follows."""
        if self.open:
            self.open = False
            self.submission.abandon()

    def submit(self, sender: bytes, recipients: Iterator[bytes]) -> bytes:
        """Put it into the queue; what to tell the client: K, Z or D, and a text, or nothing when it is refused.

        A message that has been refused is not queued; its recipients are read all the same.

        Args:
            recipients: may raise `Unwanted`, or what stops all of it: nothing is queued then.
        """
        packed = bytearray()
        try:
            while len(packed) < AHEAD and (recipient := next(recipients, None)) is not None:
                packed += recipient + b"\0"
            if not self.open:
                for _ in recipients:
                    pass
                return b""
            self.open = False
            verdict = self.submission.send(sender, chain(each_of(packed), recipients))
        except Unwanted:
            self.refuse()
            return b""
        return verdict or b"Kok %d qp %d" % (time.time(), self.submission.pid)
