"""Wait for services to come up, to be ready, to go down, for `svc -w`.

Nothing is asked again and again.  A watch (inotify) on each folder `supervise` tells when a new `status` has
been put there, and the writing end of `control`, that supervise is gone.  Each watch is set before the first look
and the first look is before the commands, so nothing that follows them is missed.

supervise opens `control` before it writes `status`: a supervise that comes later is found with its first status.
"""

from __future__ import annotations

import math
import os
import select
import time

from supervise.command import say
from supervise.errors import TEMPORARY, Temporary
from supervise.inotify import CREATE, MOVED_TO, ONLY_FOLDER, Inotify
from supervise.tree.servicedir import CONTROL, FOLDER, NORMALLY_DOWN, NOT_RUNNING, STATUS, open_writer
from supervise.tree.snapshot import is_there, read
from supervise.tree.state import AT_REST, WAITING
from supervise.tree.svstat import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.tree.snapshot import Snapshot

PATIENCE = 6.0  # seconds for a new supervise to come; svscan looks every five seconds
TOO_LATE = 99  # exit code


class Goal:
    """What is waited for.

    Args:
        words: what a service is then, for messages.
        supervised: it takes a supervise.
        again: it takes a start after the first look.
        reached: whether a service is there.
    """

    def __init__(self, words: bytes, supervised: bool, again: bool, reached: Callable[[Snapshot], bool]) -> None:
        self.words, self.supervised, self.again, self.reached = words, supervised, again, reached


GOALS = {
    b"u": Goal(b"up", True, False, lambda service: service.up),
    b"U": Goal(b"up and ready", True, False, lambda service: service.ready),
    b"d": Goal(b"down", False, False, lambda service: not service.up),
    b"D": Goal(b"down for good", False, False, lambda service: service.word in (AT_REST, WAITING)),
    b"r": Goal(b"up again", True, True, lambda service: service.up),
    b"R": Goal(b"up again and ready", True, True, lambda service: service.ready),
}


class Awaited:
    """One service, as it was at the last look.

    `control` is the writing end of its FIFO while a supervise reads that; without one, `missed` is when that
    was seen.  `trouble` says why nobody can wait for it.
    """

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self.snapshot: Snapshot | None = None
        self.control: int | None = None
        self.missed: float | None = None
        self.trouble: Temporary | None = None

    @property
    def life(self) -> tuple[int, int] | None:
        """What changes with every start and end."""
        return (self.snapshot.status.pid, self.snapshot.status.since) if self.snapshot else None

    def look(self) -> None:
        """See how the service that we stand in is, and whether its supervise is there."""
        if self.control is None:
            self.control = self.connect()
        self.missed = None if self.control is not None else self.missed or time.monotonic()
        self.snapshot = read(not is_there(NORMALLY_DOWN)) if is_there(STATUS) else None

    def connect(self) -> int | None:
        """The writing end of `control`; None: no supervise is there."""
        try:
            return open_writer(CONTROL)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Temporary(b"unable to open " + CONTROL, error) from None

    def failed(self, now: float) -> bool:
        """Whether there is nobody left who could bring about what is waited for."""
        return self.trouble is not None or (self.missed is not None and self.missed + PATIENCE <= now)

    def __bytes__(self) -> bytes:
        """How it is."""
        if self.trouble:
            return self.trouble.line
        if self.control is None or self.snapshot is None:
            return NOT_RUNNING
        return line(self.snapshot, time.time_ns())


class Waiting:
    """Services that are waited for; made before they are told anything.

    Args:
        folders: their directories.
        goal: what is waited for.

    Raises:
        Temporary: the machine allows no watch.
    """

    def __init__(self, folders: list[bytes], goal: Goal) -> None:
        self.goal = goal
        self.here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
        self.poll = select.poll()
        try:
            self.inotify = Inotify()
        except OSError as error:
            raise Temporary(b"unable to watch services", error) from None
        self.poll.register(self.inotify, select.POLLIN)
        self.watches: dict[int, set[Awaited]] = {}
        self.services = [Awaited(folder) for folder in folders]
        for service in self.services:
            self.look(service)
        self.before = {service: service.life for service in self.services}

    def wait(self, limit: float | None) -> int:
        """Wait until all services are there, *limit* seconds at most; the exit code."""
        end = None if limit is None else time.monotonic() + limit
        changed = set(self.services)
        while True:
            for service in changed:
                self.look(service)
            missing = [service for service in self.services if not self.reached(service)]
            if not missing:
                return 0
            now = time.monotonic()
            failed = [service for service in missing if service.failed(now)]
            for service in failed:
                say(b"svc: fatal: unable to wait for %s: %s" % (service.folder, bytes(service)))
            if failed:
                return TEMPORARY
            if end is not None and end <= now:
                for service in missing:
                    say(b"svc: fatal: %s is not %s yet: %s" % (service.folder, self.goal.words, bytes(service)))
                return TOO_LATE
            changed = self.changed(now, end)

    def reached(self, service: Awaited) -> bool:
        """Whether *service* is where it should be."""
        snapshot = service.snapshot
        if snapshot is None or not snapshot.settled or (self.goal.supervised and service.control is None):
            return False
        if self.goal.again and service.life == self.before[service]:
            return False
        return self.goal.reached(snapshot)

    def look(self, service: Awaited) -> None:
        """See how *service* is, and hear of what becomes of it from now on."""
        connected = service.control
        try:
            self.watch(service)
            os.chdir(service.folder)
            service.look()
        except OSError as error:
            service.trouble = Temporary(b"unable to watch", error)
        except Temporary as trouble:
            service.trouble = trouble
        if service.control is not None and connected is None:
            self.poll.register(service.control, 0)  # it tells only that nobody reads there any more
        os.fchdir(self.here)

    def watch(self, service: Awaited) -> None:
        """Hear of each new status of *service*, or of its folder `supervise` if that is not there."""
        try:
            watch = self.inotify.add(os.path.join(service.folder, FOLDER), MOVED_TO | ONLY_FOLDER)
        except FileNotFoundError:
            watch = self.inotify.add(service.folder, CREATE | MOVED_TO | ONLY_FOLDER)
        self.watches.setdefault(watch, set()).add(service)

    def changed(self, now: float, end: float | None) -> set[Awaited]:
        """Wait for something to happen, or for the *end*; the services to look at."""
        moments = [service.missed + PATIENCE for service in self.services if service.missed is not None]
        if end is not None:
            moments.append(end)
        ready = self.poll.poll(math.ceil((min(moments) - now) * 1000) if moments else None)
        changed = {service for service in self.services if service.control is None}
        for fd, _ in ready:
            if fd == self.inotify.fileno():
                for watch, _, _ in self.inotify.events():
                    changed |= self.watches.get(watch, set(self.services))  # it is unknown when some were lost
            else:
                changed |= {self.let_go(fd)}
        return changed

    def let_go(self, control: int) -> Awaited:
        """Take note that nobody reads *control*; whose it was."""
        self.poll.unregister(control)
        os.close(control)
        service = next(service for service in self.services if service.control == control)
        service.control = None
        return service
