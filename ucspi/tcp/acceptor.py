"""Accept connections, hand them to workers, and keep the count."""

from __future__ import annotations

import errno
import functools
import marshal
import os
import resource
import select
import signal
import socket
import time

from supervise.command import say
from supervise.errors import reason
from supervise.loop import Signals
from supervise.pool import Pool
from ucspi.environ import End
from ucspi.tcp.awaiting import Awaiting
from ucspi.tcp.connection import DROP, Server
from ucspi.tcp.crowd import LIMITS, Crowd
from ucspi.tcp.limits import Limits
from ucspi.tcp.metrics import ADDRESS, PROXY, TELLER, TROUBLE, Metrics
from ucspi.tcp.settings import ALL, ERRORS, Settings
from ucspi.tls.speakers import CONTROL, DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ucspi.tls.speakers import Speakers

SPARE = 32  # descriptors that we need besides two for each connection, those of its worker
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # the system cannot give more now
BREATH = 0.5  # seconds until we ask again then


class Acceptor:
    """The loop of tcpserver.

    Args:
        doors: the sockets that connections come from; they never block.
        settings: what we were told to do.
        speakers: who speaks TLS for us, if we are to.
    """

    def __init__(self, doors: list[socket.socket], settings: Settings, speakers: Speakers | None = None) -> None:
        self.settings, self.speakers = settings, speakers
        self.limits = Limits(settings.limit, settings.limit_per_address)
        wanted = settings.rules is not None or any(name in os.environb for name in LIMITS)
        self.crowd = Crowd() if wanted else None
        old_limit = allow_descriptors((4 if settings.tls else 2) * settings.limit + SPARE + len(doors))
        restore_limit = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, old_limit)
        self.pool = Pool(Server(settings), lambda key: restore_limit(), limit=settings.limit)
        self.signals = Signals(signal.SIGTERM)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # that nobody reads the log is no reason to stop
        self.resting_until = 0.0  # when we accept again after the system had no more to give
        self.end_at: float | None = None  # when we end at the latest, after TERM
        self.poll = select.poll()
        self.doors = {door.fileno(): door for door in doors}
        self.awaiting = Awaiting(settings.proxies, self.poll, self.admit, self.refuse_proxy)
        self.metrics = Metrics(settings.metrics, settings.limit) if settings.metrics else None

    def serve(self) -> int:
        """Accept connections until TERM comes, and wait for those that are there if we are to; the exit code."""
        for source in (*self.doors, self.pool.fileno(), self.signals.fileno()):
            self.poll.register(source, select.POLLIN)
        if self.metrics:
            self.poll.register(self.metrics, select.POLLIN)
        if self.speakers:
            self.poll.register(self.speakers.pool, select.POLLIN)
        self.tell_status()
        while self.end_at is None or (self.limits.count and time.monotonic() < self.end_at):
            self.turn()
        if self.metrics:
            self.metrics.write(at_once=True)
        return 0

    def turn(self) -> None:
        """Wait for something, and do what there is to do."""
        self.awaiting.give_up()
        if self.metrics:
            self.metrics.write()
        for door in self.doors:
            self.poll.modify(door, 0 if self.is_full or self.rest() else select.POLLIN)
        ready = [fd for fd, _ in self.poll.poll(self.patience())]
        if self.signals.fileno() in ready and signal.SIGTERM in self.signals.arrived():
            self.shut()
        if self.pool.fileno() in ready:
            self.take_ends()
        if self.speakers and self.speakers.pool.fileno() in ready:
            self.speakers.pool.ended()
        for fd in ready:
            if fd in self.doors and not self.is_full:
                self.take_connection(self.doors[fd])
            elif fd in self.awaiting.there:
                self.awaiting.hear(fd)
            elif self.metrics and fd == self.metrics.fileno():
                self.metrics.hear()

    def shut(self) -> None:
        """Accept nothing any more."""
        self.end_at = time.monotonic() + self.settings.drain
        while self.doors:
            fd, door = self.doors.popitem()
            self.poll.unregister(fd)
            door.close()

    @property
    def is_full(self) -> bool:
        """Whether no more connection may be accepted."""
        return self.limits.count + len(self.awaiting.there) >= self.limits.most

    def patience(self) -> float | None:
        """Milliseconds until something is to be done without being asked."""
        rests = [self.pool.rest(), self.rest(), self.awaiting.rest()]
        rests += [self.metrics.rest()] if self.metrics else []
        rests += [self.speakers.pool.rest()] if self.speakers else []
        waits = [seconds for seconds in rests if seconds]
        if self.end_at is not None:
            waits.append(max(0.0, self.end_at - time.monotonic()))
        return min(waits) * 1000 + 1 if waits else None

    def rest(self) -> float:
        """Seconds for which we accept nothing."""
        return max(0.0, self.resting_until - time.monotonic()) if self.resting_until else 0.0

    def take_ends(self) -> None:
        """Note which connections have ended."""
        for end in self.pool.ended():
            self.tell(b"tcpserver: end %d status %d" % (end.pid, end.status))
            self.leave(str(end.job))

    def take_connection(self, door: socket.socket) -> None:
        """Accept one connection, if it is still there."""
        try:
            connection, address = door.accept()
        except OSError as error:
            if error.errno in SHORT:
                self.resting_until = time.monotonic() + BREATH
            return
        remote = End.of(address)
        if self.awaiting.concerns(remote):
            self.awaiting.take(connection, remote)
            return
        with connection:
            self.admit(connection, remote, None)

    def admit(self, connection: socket.socket, remote: End, local: End | None) -> None:
        """Hand a connection to a worker; *local* is our end if that is not the socket's."""
        if self.limits.full_for(remote.ip):
            self.refuse(ADDRESS, b"limit of %d for %s reached" % (self.limits.most_per_address, remote.ip.encode()))
            return
        self.limits.enter(remote.ip)
        counts = self.crowd.enter(remote.ip) if self.crowd else None
        self.tell_status()
        try:
            number = connection.fileno()
            payload = marshal.dumps((remote.parts, local.parts if local else None, counts))
            fds = {0: number, 1: number}
            if self.metrics:
                self.metrics.accept()
                fds[TELLER] = self.metrics.teller
            if not self.speakers:
                self.pool.begin(payload, fds, remote.ip)
                return
            control, data = self.speakers.begin(connection)
            with control, data:
                self.pool.begin(payload, {**fds, CONTROL: control.fileno(), DATA: data.fileno()}, remote.ip)
        except OSError as error:
            self.refuse(TROUBLE, b"unable to fork: " + reason(error))
            self.leave(remote.ip)

    def leave(self, address: str) -> None:
        """A connection from *address* has ended."""
        self.limits.leave(address)
        if self.crowd:
            self.crowd.leave(address)
        self.tell_status()

    def tell_status(self) -> None:
        """Say how many connections there are."""
        self.tell(b"tcpserver: status: %d/%d" % (self.limits.count, self.limits.most))
        if self.metrics:
            self.metrics.stand(self.limits.count)

    def tell(self, line: bytes) -> None:
        """Say *line* if we are to say everything."""
        if self.settings.verbosity >= ALL:
            say(line)

    def refuse(self, why: bytes, line: bytes) -> None:
        """Count *why* a connection is dropped, and say it, unless we are to be quiet."""
        if self.metrics:
            self.metrics.refuse(why)
        if self.settings.verbosity >= ERRORS:
            say(DROP + line)

    def refuse_proxy(self, line: bytes) -> None:
        """Say why a proxy's connection is dropped."""
        self.refuse(PROXY, line)


def allow_descriptors(needed: int) -> tuple[int, int]:
    """Raise our limit of open files to *needed* as far as we may; the limits that there were."""
    soft, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return limits
