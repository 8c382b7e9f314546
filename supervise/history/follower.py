"""Follows a log directory from one log to the next: every line once, and none left out."""

from __future__ import annotations

import os
import select

from supervise.errors import Temporary
from supervise.history.directory import CURRENT, UNKNOWN, Lines, logs_in, release, tail, unable
from supervise.history.logfile import READ
from supervise.stamp import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.history.directory import Complain, Entry
    from supervise.history.logfile import Log
    from supervise.inotify import Inotify

PAUSE = 1.0  # seconds from one look to the next when nothing is heard
SHORT_PAUSE = 0.5  # and where nothing can be heard


class Follower:
    """What comes to a log directory from now on.

    A log is known by its inode while it only gets another name; once a processor has made another file of
    it, or it has been compressed, by its place in the order.

    Args:
        folder: the directory.
        number: of the directory, for the entries.
        complain: is called with one line when something cannot be read.

    Raises:
        OSError: the directory cannot be read.
    """

    def __init__(self, folder: bytes, number: int, complain: Complain) -> None:
        self.folder, self.number, self.complain = folder, number, complain
        self.lines = Lines(number)
        self.logs: list[Log] = []
        self.take(logs_in(folder, complain))
        self.whole = self.whole_lines()  # the stretches of the logs with all lines that are complete already

    def take(self, logs: list[Log]) -> None:
        """Go on behind *logs*."""
        release(self.logs)
        self.logs = logs
        self.current = logs[-1] if logs and logs[-1].name == CURRENT else None
        self.at = self.current.end if self.current else 0
        # What is held open besides is read already, and will be put away under a label that we do not know.
        self.owed = sum(log.fd >= 0 for log in logs) - bool(self.current)

    def whole_lines(self) -> list[Log]:
        """Put the begin of a line that is not complete aside; the stretches of what is before it."""
        begun, everything = tail(self.logs, 0)
        try:
            self.lines.rest = b"".join(block for log in begun for block in log.blocks())
        except (OSError, Temporary):  # no line of ours, then
            pass
        if everything:
            return []
        *before, last = self.logs[: len(self.logs) - len(begun) + 1]
        return [*before, last.between(last.start, begun[0].start)]

    def entries(self) -> Iterator[Entry]:
        """The lines that have been completed since the last call."""
        try:
            moved = self.moved()  # looked at first: then what we read of a log that has moved is all of it
            if self.current:
                yield from self.grown(self.current)
            if moved:
                yield from self.others()
        except FileNotFoundError:  # the directory has gone, or goes
            pass
        except OSError as error:
            self.complain(unable(self.folder, error))

    def moved(self) -> bool:
        """Whether current is another file than it was."""
        try:
            inode = os.stat(self.folder + b"/" + CURRENT).st_ino
        except FileNotFoundError:  # between two logs
            return False
        return self.current is None or inode != self.current.inode

    def grown(self, current: Log) -> Iterator[Entry]:
        """The lines that have come to *current*."""
        size = os.fstat(current.fd).st_size
        if size < self.at:  # somebody has emptied it
            self.at, self.lines.rest = 0, b""
        self.lines.default = label() if self.lines.second == UNKNOWN else b""
        while self.at < size and (block := os.pread(current.fd, READ, self.at)):
            self.at += len(block)
            yield from self.lines.take(block)

    def others(self) -> Iterator[Entry]:
        """The lines of the logs that have been begun since."""
        logs = logs_in(self.folder, self.complain)
        unread = self.unread(logs)
        if any(log.cut and self.is_current(log) for log in logs):
            yield from self.lines.end()
        self.take(logs)
        for log in unread:
            yield from self.lines.read(log, self.complain)

    def unread(self, logs: list[Log]) -> list[Log]:
        """Those of *logs* that are younger than what has been read."""
        for at, log in enumerate(logs):
            if self.is_current(log):
                return logs[at + 1 :]
        known = {log.label for log in self.logs if log.label}
        fresh = [log for log in logs if log.label not in known]
        # The first of them are what has become of what was read, unless so many have been removed that none is left
        # of those before; then, unless they begin later.
        passed = self.owed + bool(self.current)
        some_left = len(fresh) < len(logs)
        later = [log for log in fresh[:passed] if log.name == CURRENT or not (some_left or self.has_read(log))]
        return later + fresh[passed:]

    def is_current(self, log: Log) -> bool:
        """Whether *log* is what was current."""
        return self.current is not None and log.inode == self.current.inode

    def has_read(self, log: Log) -> bool:
        """Whether *log* begins with what has been read, as far as stamps tell."""
        try:
            return log.head() <= max(self.lines.time, self.current.last() if self.current else b"")
        except (OSError, Temporary):
            return True


class Watch:
    """Waits until something happens in log directories, or until a while is over."""

    def __init__(self) -> None:
        self.pause = SHORT_PAUSE
        self.poll = select.poll()
        self.poll.register(1, 0)
        self.inotify: Inotify | None = None
        from supervise import inotify  # 8 ms that only -f needs

        try:
            self.inotify = inotify.Inotify()
        except OSError:
            return
        self.events = inotify.MODIFY | inotify.CREATE | inotify.MOVED_TO
        self.pause = PAUSE
        self.poll.register(self.inotify, select.POLLIN)

    def add(self, folder: bytes) -> None:
        """Listen to what happens in *folder*."""
        if self.inotify is not None:
            try:
                self.inotify.add(folder, self.events)
            except OSError:  # more than one user may have, or gone already
                self.pause = SHORT_PAUSE

    def wait(self) -> bool:
        """Wait; whether there is still somebody who reads our output."""
        ready = [fd for fd, _ in self.poll.poll(self.pause * 1000)]
        if self.inotify is not None:
            self.inotify.events()
        return 1 not in ready
