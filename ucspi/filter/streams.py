"""Several streams of bytes at once, none of which waits for another.

Each holds no more than what it has read at a time: from a source whose target takes nothing, nothing is read.
"""

from __future__ import annotations

import os
import select

from supervise.fd import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = select.PIPE_BUF  # bytes that whatever polls as writable takes without making us wait


class Stream:
    """One direction.

    Args:
        source, target: descriptors.
        change: what to pass on for a piece of input.
        at_end: called when the source has ended.
    """

    __slots__ = ("at_end", "change", "source", "target", "waiting")

    def __init__(
        self, source: int, target: int, change: Callable[[bytes], bytes], at_end: Callable[[], object] = bool
    ) -> None:
        self.source, self.target, self.change, self.at_end = source, target, change, at_end
        self.waiting = memoryview(b"")  # what the target has not taken yet

    @property
    def waits_for(self) -> tuple[int, int]:
        """The descriptor that has to become ready next, and for what."""
        return (self.target, select.POLLOUT) if self.waiting else (self.source, select.POLLIN)

    def move(self) -> bool:
        """Read or write once; False: no more can come, or nobody takes it."""
        try:
            return self.write() if self.waiting else self.read()
        except BlockingIOError:  # others may have set it so
            return True

    def read(self) -> bool:
        """Read once; False at the end, and where nothing can be read."""
        try:
            data = os.read(self.source, CHUNK)
        except BlockingIOError:
            raise
        except OSError:
            data = b""
        if not data:
            self.at_end()
            return False
        self.waiting = memoryview(self.change(data))
        return True

    def write(self) -> bool:
        """Write once; False: nobody takes it."""
        try:
            self.waiting = self.waiting[os.write(self.target, self.waiting[:AT_ONCE]) :]
        except BlockingIOError:
            raise
        except OSError:
            return False
        return True


def pass_on(first: Stream, last: Stream) -> None:
    """Pass bytes on until *last* has ended.

    When *first* ends before, its two descriptors are closed: its target sees the end, and who writes to its source
    learns that nobody reads any more.
    """
    open_ones = [first, last]
    while last in open_ones:
        poll = select.poll()
        for stream in open_ones:
            poll.register(*stream.waits_for)
        ready = {fd for fd, _ in poll.poll()}
        for stream in open_ones[:]:
            if stream.waits_for[0] in ready and not stream.move():
                open_ones.remove(stream)
                if stream is first:
                    close(stream.source, stream.target)


def close(*fds: int) -> None:
    """Close descriptors, also those that nobody has opened."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass
