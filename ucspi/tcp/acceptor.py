"""The loop of tcpserver: who may connect how often, and on whose behalf."""

from __future__ import annotations

import marshal
import os
import socket

from supervise.command import say
from supervise.errors import reason
from ucspi.environ import End
from ucspi.server.accepting import Accepting
from ucspi.server.limits import Limits
from ucspi.tcp.awaiting import Awaiting
from ucspi.tcp.connection import DROP, Server
from ucspi.tcp.crowd import LIMITS, Crowd
from ucspi.tcp.settings import ALL, ERRORS, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Acceptor(Accepting):
    """The loop of tcpserver.

    Args:
        doors: the sockets that connections come from; they never block.
        settings: what we were told to do.
    """

    def __init__(self, doors: list[socket.socket], settings: Settings) -> None:
        limits = Limits(settings.limit, settings.limit_per_address)
        super().__init__(b"tcpserver", doors, Server(settings), limits, drain=settings.drain)
        self.settings = settings
        wanted = settings.rules is not None or any(name in os.environb for name in LIMITS)
        self.crowd = Crowd() if wanted else None
        self.awaiting = Awaiting(settings.proxies, self.poll, self.admit, self.warn)

    def turn(self) -> None:
        self.awaiting.give_up()
        super().turn()

    def hear(self, fd: int) -> None:
        if fd in self.awaiting.there:
            self.awaiting.hear(fd)

    @property
    def is_full(self) -> bool:
        return self.limits.count + len(self.awaiting.there) >= self.limits.most

    def waits(self) -> list[float | None]:
        return [*super().waits(), self.awaiting.rest()]

    def receive(self, connection: socket.socket, address: Any) -> None:
        remote = End.of(address)
        if self.awaiting.concerns(remote):
            self.awaiting.take(connection, remote)
            return
        with connection:
            self.admit(connection, remote, None)

    def admit(self, connection: socket.socket, remote: End, local: End | None) -> None:
        """Hand a connection to a worker; *local* is our end if that is not the socket's."""
        if self.limits.full_for(remote.ip):
            self.warn(b"limit of %d for %s reached" % (self.limits.most_per_address, remote.ip.encode()))
            return
        counts = self.crowd.enter(remote.ip) if self.crowd else None
        payload = marshal.dumps((remote.parts, local.parts if local else None, counts))
        self.hand_over(connection, payload, remote.ip)

    def refuse(self, error: OSError) -> None:
        self.warn(b"unable to fork: " + reason(error))

    def leave(self, who: str) -> None:
        if self.crowd:
            self.crowd.leave(who)
        super().leave(who)

    def tell(self, line: bytes) -> None:
        if self.settings.verbosity >= ALL:
            say(line)

    def warn(self, line: bytes) -> None:
        """Say why a connection is dropped, unless we are to be quiet."""
        if self.settings.verbosity >= ERRORS:
            say(DROP + line)
