"""Where mail for a host goes: smtproutes, mail exchangers, addresses; and when it is ourselves.

`control/smtproutes` has lines `HOST:RELAY` and `HOST:RELAY:PORT`.  HOST is looked for without
regard to case: the whole name first, then, with a dot in front, each domain that it is in, then
the empty name, which stands for every other host.  HOST may be an address in brackets.  Of equal
lines the last counts.  A line with an empty RELAY means: no relay, do as the domain name system
says.  RELAY is a name, whose addresses are used and whose exchangers are not, or an address; an
IPv6 address stands in brackets.

Without a relay the host's exchangers are tried, the one with the lowest preference first, in
random order among equals; each by its IPv4 addresses and then by its IPv6 addresses (what others
think of a sender mostly hangs on the former).  A host without exchangers is its own (RFC 5321, 5.1).

If an address of this machine is among those of some preference, neither they nor any that
come after are for us (RFC 5321, 5.1: mail must not loop).  If nothing remains, somebody believes
that we take this mail, and we do not.

A host may be an address: `1.2.3.4`, `[1.2.3.4]` or `[IPv6:2001:db8::1]` (RFC 5321, 4.1.3).
Names stay as they are, whatever aliases they go through.
"""

from __future__ import annotations

import os
import socket

from mta import control
from supervise.errors import Permanent, Temporary
from ucspi import dns, ip, own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SMTP = 25

UNCERTAIN = b"Sorry, I couldn't find any host by that name. (#4.1.2)"
UNKNOWN = b"Sorry, I couldn't find any host named %s. (#5.1.2)"
UNREACHABLE = b"Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"
AMBIGUOUS = (
    b"Sorry. Although I'm listed as a best-preference MX or A for that host,\n"
    b"it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
)
BAD_PORT = b"There is a bad port number in my control/smtproutes file. (#4.3.5)"


class Relay:
    """Who gets the mail for some host: its name or address, and the port."""

    __slots__ = ("host", "port")

    def __init__(self, host: bytes, port: int) -> None:
        self.host, self.port = host, port


def relays() -> dict[bytes, bytes]:
    """The lines of smtproutes: HOST, in lower case, and what is behind its colon.

    Raises:
        Temporary: the file cannot be read.
    """
    lines = control.lines(b"smtproutes") or ()
    return {line[:end].lower(): line[end + 1 :] for line in lines if (end := end_of_host(line)) >= 0}


def end_of_host(line: bytes) -> int:
    """Where in *line* the colon behind HOST is, or -1; what is between brackets, as in `[IPv6:::1]`, is HOST's."""
    start = line.find(b"]:") if line.startswith(b"[") else 0
    return line.find(b":", max(0, start))


def find_relay(host: bytes, known: dict[bytes, bytes]) -> Relay | None:
    """The relay for *host* of those *known*, or None when there is none.

    Raises:
        Temporary: its port is none.
    """
    host = host.lower()
    domains = [host[at:] for at, character in enumerate(host) if character == ord(".") and at]
    relay = next((known[name] for name in (host, *domains, b"") if name in known), b"")
    if not relay:
        return None
    host, port = apart(relay)
    number = control.leading_number(port, SMTP)
    if number > 65535:
        raise Temporary(BAD_PORT)
    return Relay(host, number)


def apart(relay: bytes) -> tuple[bytes, bytes]:
    """The name or address of a *relay*, and its port; empty: none is given."""
    if relay.startswith(b"["):
        host, bracket, port = relay.partition(b"]")
        return host + bracket, port.removeprefix(b":")
    host, _, port = relay.partition(b":")
    return host, port


def addresses_of(host: bytes) -> list[str]:
    """The addresses of *host* itself, whatever its exchangers.

    Raises:
        Temporary: we cannot know.
        Permanent: there are none.
    """
    found = look_up(host)
    if not found:
        raise Permanent(UNKNOWN % bytes(byte if 33 <= byte <= 126 else ord("?") for byte in host))
    return found


def exchangers_of(host: bytes) -> Iterator[str]:
    """The addresses that take mail for *host*, in the order to try them.

    The exchangers of a preference are looked up when all before them have been tried.

    Raises:
        Temporary: there is none now, but there may be one.
        Permanent: there is none, or only ourselves.
    """
    mine = {packed(address) for address in own.addresses()}
    uncertain = ourselves = found = False
    for names in by_preference(host):
        addresses: list[str] = []
        for name in names:
            try:
                addresses += look_up(name)
            except Temporary:
                uncertain = True
        if not mine.isdisjoint(map(packed, addresses)):
            ourselves = True
            break
        found = found or bool(addresses)
        yield from addresses
    if found:
        return
    if uncertain:
        raise Temporary(UNCERTAIN)
    raise Permanent(AMBIGUOUS if ourselves else UNREACHABLE)


def by_preference(host: bytes) -> list[list[bytes]]:
    """The names of the exchangers of *host*, a list for each preference, the best first; else its own addresses.

    Raises:
        Temporary: we cannot know.
        Permanent: there is no such host.
    """
    try:
        exchangers = [] if literal(host) else dns.exchangers(host)
    except Temporary:
        raise Temporary(UNCERTAIN) from None
    if not exchangers:
        return [[address.encode() for address in addresses_of(host)]]
    groups: dict[int, list[bytes]] = {}
    for preference, name in sorted(exchangers, key=lambda exchanger: (exchanger[0], os.urandom(8))):
        groups.setdefault(preference, []).append(name)
    return list(groups.values())


def look_up(host: bytes) -> list[str]:
    """The addresses of *host*, none if it has none.

    Raises:
        Temporary: we cannot know.
    """
    address = literal(host)
    if address:
        return [address]
    try:
        return dns.addresses(host)
    except Temporary:
        raise Temporary(UNCERTAIN) from None


def literal(host: bytes) -> str | None:
    """The address that *host* is, with or without brackets, or None: it is a name."""
    if host.startswith(b"[") and host.endswith(b"]"):
        host = host[1:-1]
        if host[:5].lower() == b"ipv6:":
            host = host[5:]
    return None if b"%" in host else ip.parse(host)  # an address in mail knows nothing of our interfaces


def packed(address: str) -> bytes:
    """*address* in 4 or 16 bytes, whatever its interface; an IPv4 address that is dressed as IPv6 is one of IPv4."""
    address = ip.plain(address.partition("%")[0])
    return socket.inet_pton(ip.family(address), address)
