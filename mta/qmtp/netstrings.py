"""Netstrings on a connection (https://cr.yp.to/proto/netstrings.txt).

    12:hello world!,

Who reads one knows its length before it comes, so that neither a line nor a message has to be searched for its end.
Whatever a client announces, nothing here keeps more of it in memory than who reads asks for.
"""

from __future__ import annotations

import time

from supervise.fd import CHUNK, Closed, Reader, TimedOut, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT_IN, CLIENT_OUT = 0, 1
PATIENCE = 3600  # seconds for all that a client wants of us
LARGEST = 200_000_000  # after a length above this one no digit is read any more
ENDLESS = 1 << 63  # bytes: more than ever come
ZERO, COLON, COMMA = b"0:,"

LONGEST_ADDRESS = 999  # bytes
LEFT, MALFORMED, NO_RESOURCES = 0, 100, 111  # exit codes: the client went away, cannot speak, or wants too much


class Malformed(Exception):
    """There is no netstring where there has to be one."""


class TooLarge(Exception):
    """A length has too many digits."""


def netstring(text: bytes) -> bytes:
    """*text* as a netstring."""
    return b"%d:%s," % (len(text), text)


class Wire:
    """A client on descriptors 0 and 1: what it sends, and the answers to it.

    Answers wait for each other until we have to wait for the client.

    Args:
        seconds: how long all of it may take.

    Its methods raise `Closed` when the client is gone, and `TimedOut` when the time is over.
    """

    __slots__ = ("answers", "at", "buffer", "end", "reader", "writer")

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.reader, self.writer = Reader(CLIENT_IN), Writer(CLIENT_OUT)
        self.buffer, self.at = b"", 0
        self.answers = bytearray()

    def byte(self) -> int:
        """The next byte."""
        if self.at == len(self.buffer):
            self._fill()
        self.at += 1
        return self.buffer[self.at - 1]

    def piece(self, size: int) -> bytes:
        """The next bytes: at least one, at most *size*."""
        if self.at == len(self.buffer):
            self._fill()
        piece = self.buffer[self.at : self.at + size]
        self.at += len(piece)
        return piece

    def answer(self, text: bytes) -> None:
        """Say *text*, at the latest when we wait for more."""
        self.answers += text
        if len(self.answers) > CHUNK:
            self.flush()

    def flush(self) -> None:
        """Say what there is to say."""
        if self.answers:
            self.writer.timeout = self._left()
            try:
                self.writer.write(bytes(self.answers))
            except OSError:
                raise Closed from None
            self.answers.clear()

    def _fill(self) -> None:
        self.flush()
        self.reader.timeout = self._left()
        try:
            more = self.reader.fill()
        except OSError:  # reset by the client
            more = False
        if not more:
            raise Closed
        self.buffer, self.reader.buffer, self.at = self.reader.buffer, b"", 0

    def _left(self) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimedOut
        return left


class Netstrings:
    """One netstring after another.

    Args:
        wire: where they come from.
        left: the bytes they may take altogether, because another netstring encloses them.

    Attributes:
        left: what they may still take.

    Its methods raise `Malformed` for what is no netstring or goes beyond *left*, and what `Wire` raises.
    """

    __slots__ = ("left", "wire")

    def __init__(self, wire: Wire, left: int = ENDLESS) -> None:
        self.wire, self.left = wire, left

    def byte(self) -> int:
        if not self.left:
            raise Malformed
        self.left -= 1
        return self.wire.byte()

    def length(self) -> int:
        """The length in front of a netstring, which `content` and `end` are to follow.

        Raises:
            TooLarge: it has too many digits.
        """
        size = 0
        while (byte := self.byte()) != COLON:
            if size > LARGEST:
                raise TooLarge
            if not ZERO <= byte <= ZERO + 9:
                raise Malformed
            size = 10 * size + byte - ZERO
        return size

    def content(self, size: int) -> Iterator[bytes]:
        """The *size* bytes of a netstring, piece by piece."""
        while size:
            if not self.left:
                raise Malformed
            piece = self.wire.piece(min(size, self.left))
            self.left -= len(piece)
            size -= len(piece)
            yield piece

    def end(self) -> None:
        """The comma behind a netstring."""
        if self.byte() != COMMA:
            raise Malformed

    def text(self, longest: int) -> bytes | None:
        """The next netstring; None, when it has been read, for one of more than *longest* bytes.

        Raises:
            TooLarge: its length has too many digits.
        """
        size = self.length()
        text = None
        if size <= longest:
            text = b"".join(self.content(size))
        else:
            for _ in self.content(size):
                pass
        self.end()
        return text

    def address(self) -> bytes | None:
        """The next netstring, if an envelope can have it as an address, else None when it has been read."""
        text = self.text(LONGEST_ADDRESS)
        return None if text is None or b"\0" in text else text


def serve(converse: Callable[[Wire], None]) -> int:
    """Have a client served; the exit code, which all servers of netstrings have in common."""
    wire = Wire(PATIENCE)
    try:
        try:
            converse(wire)
        finally:
            wire.flush()  # what became of messages that are in the queue
    except Closed:
        return LEFT
    except Malformed:
        return MALFORMED
    except (TooLarge, TimedOut):
        return NO_RESOURCES
    return LEFT
