"""The loop of tcpserver: who may connect how often, on whose behalf, and who speaks TLS for it."""

from __future__ import annotations

import marshal
import os
import select
import socket
from contextlib import ExitStack

from supervise.command import say
from supervise.errors import TEMPORARY, reason
from ucspi.environ import End
from ucspi.ip import plain
from ucspi.server.accepting import Accepting
from ucspi.server.limits import Limits
from ucspi.tcp.awaiting import Awaiting
from ucspi.tcp.connection import Server
from ucspi.tcp.crowd import LIMITS, Crowd
from ucspi.tcp.metrics import ADDRESS, PROXY, TELLER, TROUBLE, Metrics
from ucspi.tcp.settings import ALL, Settings
from ucspi.tls.speakers import CONTROL, DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ucspi.tls.speakers import Speakers


class Acceptor(Accepting):
    """The loop of tcpserver.

    Args:
        doors: the sockets that connections come from; they never block.
        settings: what we were told to do.
        speakers: who speaks TLS for us, if we are to.
    """

    def __init__(self, doors: list[socket.socket], settings: Settings, speakers: Speakers | None = None) -> None:
        limits = Limits(settings.limit, settings.limit_per_address)
        sockets = 4 if speakers else 2
        super().__init__(settings.name, doors, Server(settings), limits, drain=settings.drain, sockets=sockets)
        self.settings, self.speakers = settings, speakers
        wanted = settings.rules is not None or any(name in os.environb for name in LIMITS)
        self.crowd = Crowd() if wanted else None
        self.awaiting = Awaiting(settings.proxies, self.poll, self.admit, self.refuse_proxy)
        self.metrics = Metrics(settings.metrics, settings.limit, settings.warn) if settings.metrics else None
        self.code = 0

    def serve(self) -> int:
        if self.metrics:
            self.poll.register(self.metrics, select.POLLIN)
        if self.speakers:
            self.poll.register(self.speakers.pool, select.POLLIN)
        self.code = super().serve() or self.code
        if self.metrics:
            self.metrics.write(at_once=True)
        return self.code

    def turn(self) -> None:
        self.awaiting.give_up()
        if self.metrics:
            self.metrics.write()
        super().turn()

    def hear(self, fd: int) -> None:
        if fd in self.awaiting.there:
            self.awaiting.hear(fd)
        elif self.metrics and fd == self.metrics.fileno():
            self.metrics.hear()
        elif self.speakers and fd == self.speakers.pool.fileno():
            self.speakers.pool.ended()
            if self.speakers.lost and self.end_at is None:
                say(self.settings.name + b": fatal: the process that reads certificates is gone")
                self.code = TEMPORARY
                self.shut()

    @property
    def count(self) -> int:
        return self.limits.count + len(self.awaiting.there)

    def waits(self) -> list[float | None]:
        waits = [*super().waits(), self.awaiting.rest()]
        waits += [self.metrics.rest()] if self.metrics else []
        return waits + ([self.speakers.pool.rest()] if self.speakers else [])

    def receive(self, connection: socket.socket, address: Any) -> None:
        remote = End.of(address)
        if self.awaiting.concerns(remote):
            self.awaiting.take(connection, remote)
            return
        with connection:
            self.admit(connection, remote, None)

    def admit(self, connection: socket.socket, remote: End, local: End | None) -> None:
        """Hand a connection to a worker; *local* is our end if that is not the socket's."""
        who = plain(remote.ip)
        if self.limits.full_for(who):
            self.drop(ADDRESS, b"limit of %d for %s reached" % (self.limits.most_per_address, remote.ip.encode()))
            return
        with ExitStack() as sockets:
            fds = {}
            if self.metrics:
                self.metrics.accept()
                fds[TELLER] = self.metrics.teller
            if self.speakers:
                try:
                    control, data = self.speakers.begin(connection)
                except OSError as error:
                    self.refuse(error)
                    return
                fds |= {CONTROL: sockets.enter_context(control).fileno(), DATA: sockets.enter_context(data).fileno()}
            counts = self.crowd.enter(who) if self.crowd else None
            payload = marshal.dumps((remote.parts, local.parts if local else None, counts))
            self.hand_over(connection, payload, who, fds)

    def leave(self, who: str) -> None:
        if self.crowd:
            self.crowd.leave(who)
        super().leave(who)

    def tell_status(self) -> None:
        super().tell_status()
        if self.metrics:
            self.metrics.stand(self.limits.count)

    def tell(self, line: bytes) -> None:
        if self.settings.verbosity >= ALL:
            say(line)

    def refuse(self, error: OSError) -> None:
        self.drop(TROUBLE, b"unable to fork: " + reason(error))

    def complain(self, error: OSError) -> None:
        self.settings.warn(b"unable to accept connections: " + reason(error))

    def refuse_proxy(self, line: bytes) -> None:
        """Say why a proxy's connection is dropped."""
        self.drop(PROXY, line)

    def drop(self, why: bytes, line: bytes) -> None:
        """Count *why* a connection is dropped, and say it, unless we are to be quiet."""
        if self.metrics:
            self.metrics.refuse(why)
        self.settings.warn(b"dropping connection, " + line)
