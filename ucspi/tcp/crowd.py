"""How many connections an address and the network around it have, and how many they may have.

The parent counts; the worker that serves a connection gets the counts with it, and compares when the rules have
spoken.  So a rule can set each limit, for those whom it is about, as a variable; the environment that tcpserver was
started with sets it for all others:

    MAXCONNIP    connections of one address at once
    MAXCONNC     connections of one network at once: the first 24 bits of an IPv4 address, 64 of an IPv6 one
    MAXRATEIP    new connections of one address in a minute
    MAXRATEC     new connections of one network in a minute
    DIEMSG       a line that is sent to a client that has reached a limit

A value without a number, or 0, sets no limit.
"""

from __future__ import annotations

import os
import time

from ucspi import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.environment import Variable

    Counts = tuple[int, int, int, int]  # of a connection, itself included: in the order of LIMITS

LIMITS = (b"MAXCONNIP", b"MAXCONNC", b"MAXRATEIP", b"MAXRATEC")
MESSAGE = b"DIEMSG"
MINUTE = 60.0  # seconds


class Recent:
    """Counts by name over the last minute, of which the older part is weighed and not remembered one by one."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.now: dict[str, int] = {}  # since then
        self.before: dict[str, int] = {}  # in the minute before that

    def add(self, name: str) -> int:
        """Count one more; how many there were in the last minute."""
        self.go_on(time.monotonic())
        self.now[name] = self.now.get(name, 0) + 1
        old = self.before.get(name, 0)
        return self.now[name] + (int(old * (1 - (time.monotonic() - self.since) / MINUTE)) if old else 0)

    def go_on(self, moment: float) -> None:
        """Begin the minutes that have begun."""
        passed = moment - self.since
        if passed >= MINUTE:
            self.before, self.now = (self.now if passed < 2 * MINUTE else {}), {}
            self.since = moment - passed % MINUTE


class Crowd:
    """The counts, in the parent."""

    def __init__(self) -> None:
        self.there: dict[str, int] = {}  # by address, and by network
        self.recent = Recent()

    def enter(self, address: str) -> Counts:
        """Count a connection from *address*; what there is now."""
        names = (address, network(address))
        for name in names:
            self.there[name] = self.there.get(name, 0) + 1
        return (*(self.there[name] for name in names), *(self.recent.add(name) for name in names))  # type: ignore[return-value]

    def leave(self, address: str) -> None:
        """A connection from *address* has ended."""
        for name in (address, network(address)):
            left = self.there.pop(name) - 1
            if left:
                self.there[name] = left


def network(address: str) -> str:
    """The network around *address*: 24 bits of IPv4, 64 of IPv6."""
    import socket

    address = ip.plain(address)
    if ":" not in address:
        return address.rpartition(".")[0] + ".0/24"
    prefix = socket.inet_pton(socket.AF_INET6, address)[:8]
    return socket.inet_ntop(socket.AF_INET6, prefix + bytes(8)) + "/64"


def reached(counts: Counts, changes: Iterable[Variable]) -> tuple[bytes, int] | None:
    """The limit that is exceeded, by its name and value, or None.

    Args:
        counts: of the connection.
        changes: the variables that a rule sets, in their order.
    """
    settings = {name: value for name, value in changes if name in LIMITS}
    for name, count in zip(LIMITS, counts, strict=True):
        most = ip.leading_number(settings.get(name, os.environb.get(name)) or b"")
        if 0 < most < count:
            return name, most
    return None


def message(changes: Iterable[Variable]) -> bytes:
    """What is sent to a client that has reached a limit; nothing unless somebody says so."""
    text = dict(changes).get(MESSAGE, os.environb.get(MESSAGE))
    return text + b"\r\n" if text else b""
