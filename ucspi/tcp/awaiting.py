"""Connections of proxies that have not yet told on whose behalf they come."""

from __future__ import annotations

import select
import socket
import time

from ucspi import ip
from ucspi.environ import End
from ucspi.tcp import proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network

    from ucspi.tcp.proxy import Header

PATIENCE = 5.0  # seconds that a proxy has for its header
MOMENT = 0.001  # seconds


class Awaiting:
    """The connections, from when they are accepted until their header is there.

    Args:
        proxies: who has to send one; nobody else is believed.
        poll: what tells that there is something to read.
        admit: called with the connection and its ends, the local one None if it is that of the socket.
        refuse: called with what is wrong.
    """

    def __init__(
        self,
        proxies: list[IPv4Network | IPv6Network],
        poll: select.poll,
        admit: Callable[[socket.socket, End, End | None], None],
        refuse: Callable[[bytes], None],
    ) -> None:
        self.proxies, self.poll, self.admit, self.refuse = proxies, poll, admit, refuse
        self.there: dict[int, tuple[socket.socket, End, float]] = {}  # connection, its end, when we give it up

    def concerns(self, remote: End) -> bool:
        """Whether *remote* is a proxy's."""
        if not self.proxies:
            return False
        from ipaddress import ip_address

        address = ip_address(ip.plain(remote.ip))
        return any(address in network for network in self.proxies)

    def take(self, connection: socket.socket, remote: End) -> None:
        """Wait for what the proxy at *remote* says first."""
        connection.setblocking(False)
        self.there[connection.fileno()] = connection, remote, time.monotonic() + PATIENCE
        self.poll.register(connection, select.POLLIN)

    def hear(self, fd: int) -> None:
        """There is something to read on a connection: admit it if its header is there."""
        connection, remote, _ = self.there[fd]
        try:
            data = connection.recv(proxy.LONGEST, socket.MSG_PEEK)
            before = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) - 1
            header = proxy.parse(data)
            if header is None:
                if len(data) <= before:
                    raise ValueError  # its end
                # The system wakes us when there is more than this.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)
                return
        except BlockingIOError:
            return
        except (OSError, ValueError):  # it is gone, or says something else
            self.refuse(b"no PROXY header from " + remote.ip.encode())
            self.drop(fd)
            return
        with connection:
            self.forget(fd)
            self.let_in(connection, remote, header)

    def let_in(self, connection: socket.socket, remote: End, header: Header) -> None:
        """Admit *connection* without its header."""
        try:
            connection.recv(header.size)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            connection.setblocking(True)
        except OSError:
            return
        self.admit(connection, header.remote or remote, header.local)

    def give_up(self) -> None:
        """Drop those who have taken too long."""
        now = time.monotonic()
        for fd, (_, remote, limit) in list(self.there.items()):
            if limit > now:
                break
            self.refuse(b"no PROXY header in time from " + remote.ip.encode())
            self.drop(fd)

    def rest(self) -> float:
        """Seconds until somebody is to be dropped; 0 when nobody waits."""
        limits = (limit for _, _, limit in self.there.values())
        return max(MOMENT, next(limits) - time.monotonic()) if self.there else 0.0

    def drop(self, fd: int) -> None:
        """Close a connection."""
        self.forget(fd).close()

    def forget(self, fd: int) -> socket.socket:
        """Have no more to do with a connection."""
        self.poll.unregister(fd)
        return self.there.pop(fd)[0]
