"""Accept connections, hand them to workers, and keep the count."""

from __future__ import annotations

import errno
import functools
import resource
import select
import signal
import socket
import time

from supervise.loop import Signals
from supervise.pool import Pool
from ucspi.server.limits import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SPARE = 32  # descriptors that we need besides two for each connection, those of its worker
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # the system cannot give more now
WAITING = 64  # workers that may wait for a foreign program, each with its 2 MB
BREATH = 0.5  # seconds until we ask again then
SILENCE = 60.0  # seconds until we speak of it again


class Accepting:
    """The loop of a server; what differs from one kind of socket to the next is left to a class for each.

    Args:
        name: the server's, in its log.
        doors: the sockets that connections come from; they never block.
        work: what a worker does with a connection, which it finds on descriptors 0 and 1; see `Pool`.
        limits: how many connections there may be.
        endings: the signals after which we accept no more.
        drain: seconds that connections have to end then.
        sockets: how many descriptors of ours a connection takes.
    """

    def __init__(
        self,
        name: bytes,
        doors: list[socket.socket],
        work: Callable[[bytes], int],
        limits: Limits,
        endings: Iterable[int] = (signal.SIGTERM,),
        drain: int = 0,
        sockets: int = 2,
    ) -> None:
        self.name, self.limits, self.endings, self.drain = name, limits, frozenset(endings), drain
        old_limit = allow_descriptors(sockets * limits.most + SPARE + len(doors))
        restore_limit = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, old_limit)
        self.pool = Pool(work, lambda key: restore_limit(), limit=limits.most, waits=WAITING)
        self.signals = Signals(*self.endings)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # that nobody reads the log is no reason to stop
        self.resting_until = 0.0  # when we accept again after the system had no more to give
        self.silent_until = 0.0  # when we may speak of that again
        self.end_at: float | None = None  # when we end at the latest, after a signal
        self.poll = select.poll()
        self.doors = {door.fileno(): door for door in doors}

    # -- what a kind of socket does its own way ------------------------------------------
    def tell(self, line: bytes) -> None:
        """Say *line* if we are to say everything."""
        raise NotImplementedError

    def receive(self, connection: socket.socket, address: object) -> None:
        """Do with a new connection what is to be done, and have it closed here in the end."""
        raise NotImplementedError

    def refuse(self, error: OSError) -> None:
        """Say that no worker can be made for a connection."""
        raise NotImplementedError

    def complain(self, error: OSError) -> None:
        """Say that connections wait because the system has no more to give now."""
        raise NotImplementedError

    def hear(self, fd: int) -> None:
        """Something happened on *fd*, which is none of ours here."""

    # -- the loop ------------------------------------------------------------------------
    def serve(self) -> int:
        """Accept connections until we are to end, and wait for those that are there if we are to; the exit code."""
        for source in (*self.doors, self.pool.fileno(), self.signals.fileno()):
            self.poll.register(source, select.POLLIN)
        self.tell_status()
        while self.end_at is None or (self.count and time.monotonic() < self.end_at):
            self.turn()
        return 0

    def turn(self) -> None:
        """Wait for something, and do what there is to do."""
        for door in self.doors:
            self.poll.modify(door, 0 if self.is_full or self.rest() else select.POLLIN)
        ready = [fd for fd, _ in self.poll.poll(self.patience())]
        if self.signals.fileno() in ready and self.signals.arrived() & self.endings:
            self.shut()
        if self.pool.fileno() in ready:
            self.take_ends()
        for fd in ready:
            if fd not in self.doors:
                self.hear(fd)
            elif not self.is_full:
                self.take_connection(self.doors[fd])

    def shut(self) -> None:
        """Accept nothing any more."""
        self.end_at = time.monotonic() + self.drain
        while self.doors:
            fd, door = self.doors.popitem()
            self.poll.unregister(fd)
            door.close()

    @property
    def count(self) -> int:
        """How many connections there are."""
        return self.limits.count

    @property
    def is_full(self) -> bool:
        """Whether no more connection may be accepted."""
        return self.count >= self.limits.most

    def waits(self) -> list[float | None]:
        """The seconds until this or that is to be done without being asked; 0 or None where nothing is."""
        return [self.pool.rest(), self.rest()]

    def patience(self) -> float | None:
        """Milliseconds until something is to be done without being asked."""
        waits = [seconds for seconds in self.waits() if seconds]
        if self.end_at is not None:
            waits.append(max(0.0, self.end_at - time.monotonic()))
        return min(waits) * 1000 + 1 if waits else None

    def rest(self) -> float:
        """Seconds for which we accept nothing."""
        return max(0.0, self.resting_until - time.monotonic()) if self.resting_until else 0.0

    # -- connections -----------------------------------------------------------------------
    def take_ends(self) -> None:
        """Note which connections have ended."""
        for end in self.pool.ended():
            self.tell(self.name + b": end %d status %d" % (end.pid, end.status))
            self.leave(str(end.job))

    def take_connection(self, door: socket.socket) -> None:
        """Accept one connection, if it is still there."""
        try:
            connection, address = door.accept()
        except OSError as error:
            if error.errno in SHORT:
                self.pause(error)
            return
        self.receive(connection, address)

    def pause(self, error: OSError) -> None:
        """Accept nothing for a moment, and say why, unless that has been said lately."""
        now = time.monotonic()
        self.resting_until = now + BREATH
        if now >= self.silent_until:
            self.silent_until = now + SILENCE
            self.complain(error)

    def hand_over(
        self, connection: socket.socket, payload: bytes, who: str, fds: Mapping[int, int] | None = None
    ) -> int | None:
        """Hand a connection of *who* to a worker; its pid, or None if there can be none.

        Args:
            fds: descriptors that the worker finds besides.
        """
        self.limits.enter(who)
        self.tell_status()
        number = connection.fileno()
        try:
            return self.pool.begin(payload, {0: number, 1: number, **(fds or {})}, who)
        except OSError as error:
            self.refuse(error)
            self.leave(who)
            return None

    def leave(self, who: str) -> None:
        """A connection of *who* has ended."""
        self.limits.leave(who)
        self.tell_status()

    def tell_status(self) -> None:
        """Say how many connections there are."""
        self.tell(self.name + b": status: %d/%d" % (self.limits.count, self.limits.most))


def allow_descriptors(needed: int) -> tuple[int, int]:
    """Raise our limit of open files to *needed* as far as we may; the limits that there were."""
    soft, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return limits
