"""What the parts of qmail-send wait for: descriptors, and the earliest moment.

Each turn of the loop, every part says what it waits for; `wait` sleeps until something of
that has come, and then tells each part what has.  Moments are whole seconds since 1970, as
the times of files are.
"""

from __future__ import annotations

import select
import time

LONGEST = 86_400  # seconds of sleep at most, whatever the clock does meanwhile
AT_ONCE = 0  # the moment that has come already


class Watch:
    """One loop's descriptors and time; *now* stays the same for all parts in one turn."""

    def __init__(self) -> None:
        self.poll = select.poll()
        self.watched: dict[int, int] = {}
        self.wanted: dict[int, int] = {}
        self.came: dict[int, int] = {}
        self.start()

    def start(self) -> None:
        """Begin a new turn, in which nothing is waited for yet."""
        self.now = int(time.time())
        self.moment = self.now + LONGEST
        self.wanted = {}

    def read(self, fd: int) -> None:
        """Wait until there is something to read from *fd*."""
        self.wanted[fd] = select.POLLIN

    def write(self, fd: int) -> None:
        """Wait until *fd* takes more."""
        self.wanted[fd] = select.POLLOUT

    def until(self, moment: int | None) -> None:
        """Wait no longer than until *moment*; None: as long as you like."""
        if moment is not None and moment < self.moment:
            self.moment = moment

    def wait(self) -> None:
        """Sleep until something that is waited for has come."""
        self._register()
        left = self.moment - time.time() if self.moment > self.now else 0
        self.came = dict(self.poll.poll(max(0, left) * 1000))
        self.now = int(time.time())

    def ready(self, fd: int) -> bool:
        """Whether *fd* can be read or written now, or its other side is gone."""
        return fd in self.came

    def _register(self) -> None:
        if self.wanted == self.watched:
            return
        for fd in self.watched.keys() - self.wanted.keys():
            self.poll.unregister(fd)
        for fd, events in self.wanted.items():
            if self.watched.get(fd) != events:
                self.poll.register(fd, events)
        self.watched = self.wanted
