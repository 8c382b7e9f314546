"""Refuse a client: a small SMTP conversation in which it may say anything and send nothing."""

from __future__ import annotations

import os
import select
import time

from supervise.fd import Closed, TimedOut, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SOFT, HARD = b"451", b"553"
LONGEST = 200  # bytes of a text
VISIBLE = bytes(c if 32 <= c <= 126 else ord("?") for c in range(256))
GREETING = b"220 rblsmtpd.local\r\n"
ACCEPTED = b"250 rblsmtpd.local\r\n"
GOODBYE = b"221 rblsmtpd.local\r\n"
HARMLESS = (b"helo", b"ehlo", b"mail", b"rset", b"noop")
CHUNK = 4096  # bytes that are read at once; each of them may be a line and have its reply
MEMORABLE = 8  # bytes of a line that are kept; a verb and its end have no more
LONGEST_PATIENCE = 2_000_000  # seconds; poll counts milliseconds in 31 bits


class Refusal:
    """Why a client is refused: *code*, `SOFT` or `HARD`, and a *text* fit for a reply and a log."""

    __slots__ = ("code", "text")

    def __init__(self, code: bytes, text: bytes) -> None:
        self.code = code
        self.text = text[:LONGEST].translate(VISIBLE)

    @property
    def line(self) -> bytes:
        """The reply, without its line end."""
        return self.code + b" " + self.text


class Session:
    """What a refused client says, and what it hears; *over* once it has said QUIT."""

    def __init__(self, refusal: Refusal) -> None:
        self.refused = refusal.line + b"\r\n"
        self.line = b""  # what has come of the current one, or its beginning
        self.over = False

    def feed(self, text: bytes) -> bytes:
        """The replies to *text*, which continues what came before."""
        *ends, rest = text.split(b"\n")
        replies = []
        for end in ends:
            replies.append(self.reply(self.line + end[:MEMORABLE]))
            self.line = b""
            if self.over:
                break
        self.line = (self.line + rest[:MEMORABLE])[:MEMORABLE]
        return b"".join(replies)

    def reply(self, line: bytes) -> bytes:
        """The reply to *line*, of which the beginning is enough."""
        verb = line.removesuffix(b"\r").split(b" ", 1)[0].lower()
        if verb == b"quit":
            self.over = True
            return GOODBYE
        return ACCEPTED if verb in HARMLESS else self.refused


def refuse(refusal: Refusal, seconds: int, source: int = 0, target: int = 1) -> None:
    """Talk with a client until it says QUIT, is gone, or the time is over.

    Args:
        seconds: how long all of it may take; with 0 the client gets the refusal and nothing else.
        source: the descriptor that it speaks on.
        target: the descriptor that it listens on.
    """
    session = Session(refusal)
    writer = Writer(target, LONGEST_PATIENCE)
    try:
        if not seconds:
            writer.write(session.refused)
            return
        deadline = time.monotonic() + min(seconds, LONGEST_PATIENCE)
        writer.timeout = left(deadline)
        writer.write(GREETING)
        for text in heard(source, deadline):
            writer.timeout = left(deadline)
            writer.write(session.feed(text))
            if session.over:
                return
    except (Closed, TimedOut, OSError):
        pass


def heard(source: int, deadline: float) -> Iterator[bytes]:
    """What comes on *source*, piece by piece.

    Raises:
        TimedOut: the time of the clock `monotonic` is *deadline*.
    """
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while poll.poll(left(deadline) * 1000):
        text = os.read(source, CHUNK)
        if not text:
            return
        yield text
    raise TimedOut


def left(deadline: float) -> float:
    """The seconds until *deadline*; none after it."""
    return max(deadline - time.monotonic(), 0)
