"""A message on its way into the queue whose header is rewritten on the way."""

from __future__ import annotations

from mta.header import LONGEST, name_of, split
from mta.queue.submit import Submission
from supervise.fd import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TOO_LONG = b"Dmessage header is too long (#5.3.4)"


class Rewritten(Submission):
    """A submission that keeps the header until it is complete.

    Args:
        rewrite: makes the header that goes out of the fields that came.
    """

    def __init__(self, rewrite: Callable[[list[bytes]], bytes]) -> None:
        super().__init__()
        self.rewrite = rewrite
        self.header: bytearray | None = bytearray()  # None: it has gone on
        self.seen = 0  # bytes of the header that are whole lines of it
        self.too_long = False

    def write(self, data: bytes) -> None:
        """Add *data* to the message; trouble shows in `send`."""
        if self.header is None:
            super().write(data)
        elif not self.too_long:
            self.header += data
            if self.complete(self.header):
                self.hand_header_on(self.header)
            elif len(self.header) > LONGEST:
                self.too_long = True
                self.header.clear()

    def complete(self, header: bytearray) -> bool:
        """Whether there is a line in it that is none of a header's."""
        while (end := header.find(b"\n", self.seen)) >= 0:
            line = bytes(header[self.seen : end + 1])
            if not (self.seen and line[0] in b" \t") and name_of(line) is None:
                return True
            self.seen = end + 1
        return False

    def hand_header_on(self, header: bytearray) -> None:
        """Pass on the header, rewritten, and what has come of the body."""
        reader = Kept(bytes(header))
        self.header = None
        fields, beginning = split(reader, mbox=False)
        super().write(self.rewrite(fields) + beginning + reader.buffer)

    def send(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        """Finish the message, as `Submission.send` does; one whose header is too long is refused."""
        if self.too_long:
            self.abandon()
            return TOO_LONG
        if self.header is not None:
            self.hand_header_on(self.header)
        return super().send(sender, recipients)


class Kept(Reader):
    """A reader of bytes that are there already."""

    __slots__ = ()

    def __init__(self, content: bytes) -> None:
        super().__init__(-1)
        self.buffer = content

    def fill(self) -> bool:
        """There is no more."""
        return False
