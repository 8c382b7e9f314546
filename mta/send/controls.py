"""The controls of qmail-send: which hosts are ours, how much at once, for how long.

All are read at the start.  A HUP reads `locals`, `virtualdomains` and the concurrencies again.

    locals                            hosts whose mail is delivered here           (me)
    virtualdomains                    ADDRESS-OR-HOST:PREPEND, delivered here too  (none)
    percenthack                       hosts for which user%host@HOST is user@host  (none)
    envnoathost                       host of addresses that have none             (me)
    concurrencylocal, -remote         deliveries at a time                         (10, 20)
    queuelifetime                     seconds that a message is tried for          (604800)
    bouncefrom, bouncehost            who bounces come from                        (MAILER-DAEMON, me)
    doublebounceto, doublebouncehost  who gets bounces of bounces                  (postmaster, me)

Hosts and addresses are looked up without regard to case; the last of several entries counts.
"""

from __future__ import annotations

from mta import control
from supervise.errors import Temporary

CONCURRENCY = {b"local": 10, b"remote": 20}


class Controls:
    """What the control files said when they were read last.

    Raises:
        Temporary: one of them cannot be read, or there is neither `locals` nor `me`.
    """

    def __init__(self) -> None:
        self.lifetime = control.number(b"queuelifetime", 604800)
        self.concurrency = read_concurrency(b"local"), read_concurrency(b"remote")
        self.envnoathost = host(b"envnoathost")
        self.bouncefrom = value(b"bouncefrom", b"MAILER-DAEMON")
        self.bouncehost = host(b"bouncehost")
        self.doublebounceto = value(b"doublebounceto", b"postmaster") + b"@" + host(b"doublebouncehost")
        self.percenthack = frozenset(line.lower() for line in control.lines(b"percenthack") or ())
        self.locals = read_locals()
        self.virtualdomains = read_virtualdomains()

    def reread(self) -> None:
        """Read `locals`, `virtualdomains` and the concurrencies again, all or none.

        Raises:
            Temporary: one cannot be read; its line names which.
        """
        try:
            name = b"locals"
            local_hosts = read_locals()
            name = b"virtualdomains"
            virtualdomains = read_virtualdomains()
            name = b"concurrencylocal"
            local = read_concurrency(b"local")
            name = b"concurrencyremote"
            remote = read_concurrency(b"remote")
        except Temporary:
            raise Temporary(b"unable to reread control/" + name) from None
        self.locals, self.virtualdomains, self.concurrency = local_hosts, virtualdomains, (local, remote)


def value(name: bytes, default: bytes) -> bytes:
    found = control.value(name)
    return default if found is None else found


def host(name: bytes) -> bytes:
    """The control file *name*, else `me`, else the name itself, which tells the reader what is missing."""
    found = control.value_or_me(name)
    return name if found is None else found


def read_concurrency(channel: bytes) -> int:
    return control.number(b"concurrency" + channel, CONCURRENCY[channel])


def read_locals() -> frozenset[bytes]:
    lines = control.lines(b"locals")
    if lines is None:
        me = control.value(b"me")
        if me is None:
            raise Temporary(b"neither control/locals nor control/me is there")
        lines = [me]
    return frozenset(line.lower() for line in lines)


def read_virtualdomains() -> dict[bytes, bytes]:
    entries = (line.partition(b":") for line in control.lines(b"virtualdomains") or ())
    return {key.lower(): prepend for key, colon, prepend in entries if colon}
