"""Descriptors: read, write whole, copy; buffered lines with a time limit.

Commands speak through descriptors and not through streams: nothing is buffered across
a fork, nothing is flushed twice, and a diagnostic is one write.
"""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 65536


class TimedOut(Exception):
    """The other side did not move within the time given."""


class Closed(Exception):
    """The other side is gone: end of input, or a write that nobody takes."""


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of *data*, however often the kernel takes less."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def chunks(fd: int, size: int = CHUNK) -> Iterator[bytes]:
    """What *fd* still has, up to *size* bytes at a time."""
    while data := os.read(fd, size):
        yield data


def read_all(fd: int) -> bytes:
    """All that *fd* still has."""
    return b"".join(chunks(fd))


def copy(source: int, target: int) -> int:
    """Copy the rest of *source* to *target*; the number of bytes."""
    total = 0
    for data in chunks(source):
        write_all(target, data)
        total += len(data)
    return total


class Reader:
    """A buffered reader of a descriptor.

    Args:
        fd: the descriptor.
        timeout: seconds to wait for the next bytes; None waits for ever.
    """

    __slots__ = ("buffer", "fd", "poll", "timeout")

    def __init__(self, fd: int, timeout: float | None = None) -> None:
        self.fd, self.timeout = fd, timeout
        self.buffer = b""
        self.poll: select.poll | None = None

    def fill(self) -> bool:
        """Read once more into the buffer; False at the end of input.

        Raises:
            TimedOut: nothing came in time.
        """
        if self.timeout is not None:
            if self.poll is None:
                self.poll = select.poll()
                self.poll.register(self.fd, select.POLLIN)
            if not self.poll.poll(self.timeout * 1000):
                raise TimedOut
        data = os.read(self.fd, CHUNK)
        self.buffer += data
        return bool(data)

    def line(self, limit: int | None = None, end: bytes = b"\n") -> bytes | None:
        """The next line with its *end*; what is left without one at the end of input; None after that.

        With a *limit*, a line that is longer comes in pieces of *limit* bytes or more
        that lack the *end*, so memory stays bounded whatever the other side sends.
        """
        searched = 0
        while (at := self.buffer.find(end, searched)) < 0:
            if limit is not None and len(self.buffer) >= limit:
                return self.take(len(self.buffer))
            searched = max(0, len(self.buffer) - len(end) + 1)
            if not self.fill():
                return self.take(len(self.buffer)) or None
        return self.take(at + len(end))

    def take(self, size: int) -> bytes:
        """Exactly *size* bytes, fewer only at the end of input."""
        while len(self.buffer) < size and self.fill():
            pass
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data


def lines(fd: int) -> Iterator[bytes]:
    """The lines of *fd* with their ends; the last one may lack it."""
    rest = b""
    for data in chunks(fd):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


class Writer:
    """Write whole, with a time limit.

    Args:
        fd: the descriptor.
        timeout: seconds that one write may be stuck; None waits for ever.
    """

    __slots__ = ("fd", "timeout")

    def __init__(self, fd: int, timeout: float | None = None) -> None:
        self.fd, self.timeout = fd, timeout

    def write(self, data: bytes) -> None:
        """Write all of *data*.

        Raises:
            TimedOut: the other side took nothing in time.
            Closed: the other side is gone.
        """
        view = memoryview(data)
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        while view:
            if self.timeout is not None and not poll.poll(self.timeout * 1000):
                raise TimedOut
            try:
                # No more than a pipe or socket that polls as writable takes without blocking.
                view = view[os.write(self.fd, view if self.timeout is None else view[:4096]) :]
            except (BrokenPipeError, ConnectionResetError) as error:
                raise Closed from error
