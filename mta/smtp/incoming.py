"""A message on its way from the client into the queue, and the replies where it does not get there."""

from __future__ import annotations

from mta.queue.envelope import each_of
from mta.smtp.data import Body
from supervise.errors import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.queue.submit import Submission

MOST_HOPS = 99  # a message that was handed on more often is looping

LOOPING = b"554 too many hops, this message is looping (#5.4.6)\r\n"
TOO_LARGE = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
NO_QUEUE = b"451 qqt failure (#4.3.0)\r\n"


class Incoming:
    """The message, its *sender* and *recipients*, each of these with a NUL behind it, and the *limit* of its size.

    Its *body* is what turns the text on the wire into the message.
    """

    __slots__ = ("abandoned", "body", "limit", "recipients", "sender", "size", "submission")

    def __init__(
        self, submission: Submission, sender: bytes, recipients: bytearray, limit: int, body: Body | None = None
    ) -> None:
        self.submission, self.sender, self.recipients, self.limit = submission, sender, recipients, limit
        self.body = body or Body()
        self.size = 0  # as the original: without the Received line
        self.abandoned = False

    def take(self, text: bytes) -> None:
        """Take the next part of what is on the wire.

        Raises:
            BareNewline: the client is not to be trusted.
        """
        part = self.body.feed(text)
        self.size += len(part)
        if self.too_large:
            self.abandon()
        self.write(part)

    @property
    def too_large(self) -> bool:
        return 0 < self.limit < self.size

    def write(self, part: bytes) -> None:
        if part and not self.abandoned:
            try:
                self.submission.write(part)
            except (Trouble, OSError):
                self.abandon()

    def abandon(self) -> None:
        """Queue nothing, whatever follows."""
        if not self.abandoned:
            self.abandoned = True
            self.submission.abandon()

    def submit(self) -> bytes:
        """Put it into the queue; the reply when that fails, and b"" only when the queue has accepted it."""
        if self.body.hops > MOST_HOPS:
            self.abandon()
            return LOOPING
        if self.too_large:
            return TOO_LARGE
        if self.abandoned:
            return NO_QUEUE
        try:
            verdict = self.submission.send(self.sender, each_of(self.recipients))
        except (Trouble, OSError):
            return NO_QUEUE
        if not verdict:
            return b""
        return (b"554 " if verdict.startswith(b"D") else b"451 ") + verdict[1:] + b"\r\n"
