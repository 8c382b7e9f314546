"""Accept connections, hand them to workers, and keep the count."""

from __future__ import annotations

import errno
import functools
import marshal
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
from ucspi.tcp.connection import DROP, Server
from ucspi.tcp.limits import Limits
from ucspi.tcp.settings import ALL, ERRORS, Settings

SPARE = 32  # descriptors that we need besides two for each connection, those of its worker
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # the system cannot give more now
BREATH = 0.5  # seconds until we ask again then


class Acceptor:
    """The loop of tcpserver.

    Args:
        listening: the socket that connections come from; it never blocks.
        settings: what we were told to do.
    """

    def __init__(self, listening: socket.socket, settings: Settings) -> None:
        self.listening, self.settings = listening, settings
        self.limits = Limits(settings.limit, settings.limit_per_address)
        old_limit = allow_descriptors(2 * settings.limit + SPARE)
        restore_limit = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, old_limit)
        self.pool = Pool(Server(settings), lambda key: restore_limit(), limit=settings.limit)
        self.signals = Signals(signal.SIGTERM)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # that nobody reads the log is no reason to stop
        self.resting_until = 0.0  # when we accept again after the system had no more to give

    def serve(self) -> int:
        """Accept connections until TERM comes; the exit code."""
        poll = select.poll()
        for source in (self.listening, self.pool, self.signals):
            poll.register(source, select.POLLIN)
        self.tell_status()
        while True:
            poll.modify(self.listening, 0 if self.limits.full or self.rest() else select.POLLIN)
            ready = {fd for fd, _ in poll.poll(self.patience())}
            if self.signals.fileno() in ready and signal.SIGTERM in self.signals.arrived():
                return 0
            if self.pool.fileno() in ready:
                self.take_ends()
            if self.listening.fileno() in ready:
                self.take_connection()

    def patience(self) -> float | None:
        """Milliseconds until something is to be done without being asked."""
        waits = [seconds for seconds in (self.pool.rest(), self.rest()) if seconds]
        return min(waits) * 1000 + 1 if waits else None

    def rest(self) -> float:
        """Seconds for which we accept nothing."""
        return max(0.0, self.resting_until - time.monotonic()) if self.resting_until else 0.0

    def take_ends(self) -> None:
        """Note which connections have ended."""
        for end in self.pool.ended():
            self.tell(b"tcpserver: end %d status %d" % (end.pid, end.status))
            self.limits.leave(str(end.job))
            self.tell_status()

    def take_connection(self) -> None:
        """Accept one connection, if it is still there, and hand it to a worker."""
        try:
            connection, address = self.listening.accept()
        except OSError as error:
            if error.errno in SHORT:
                self.resting_until = time.monotonic() + BREATH
            return
        with connection:
            remote = End.of(address)
            if self.limits.full_for(remote.ip):
                self.warn(b"limit of %d for %s reached" % (self.limits.most_per_address, remote.ip.encode()))
                return
            self.limits.enter(remote.ip)
            self.tell_status()
            try:
                number = connection.fileno()
                payload = marshal.dumps((remote.ip, remote.port, None, remote.interface))
                self.pool.begin(payload, {0: number, 1: number}, remote.ip)
            except OSError as error:
                self.warn(b"unable to fork: " + reason(error))
                self.limits.leave(remote.ip)
                self.tell_status()

    def tell_status(self) -> None:
        """Say how many connections there are."""
        self.tell(b"tcpserver: status: %d/%d" % (self.limits.count, self.limits.most))

    def tell(self, line: bytes) -> None:
        """Say *line* if we are to say everything."""
        if self.settings.verbosity >= ALL:
            say(line)

    def warn(self, line: bytes) -> None:
        """Say why a connection is dropped, unless we are to be quiet."""
        if self.settings.verbosity >= ERRORS:
            say(DROP + line)


def allow_descriptors(needed: int) -> tuple[int, int]:
    """Raise our limit of open files to *needed* as far as we may; the limits that there were."""
    soft, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return limits
