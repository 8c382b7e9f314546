"""The domain name system as mail needs it: addresses, exchangers, names of addresses, texts.

Each question has one of three ends: an answer; an empty answer, when there surely is no such
name or it has no such data; or `Temporary`, when nobody could be asked or the answer says
nothing for certain.  An alias (CNAME) is followed.

Whom we ask: `DNSCACHEIP` names one or more caches, separated by blanks, each `IP`, `IP:port`,
or, for an IPv6 address with a port, `[IP]:port`.  Without it, resolv.conf of the system.

Names are bytes without the last dot, in lower case; bytes that are not printable come as a
backslash and three octal digits.  Addresses are text, as `socket` takes and gives them.

dnspython does the work.  It takes some 70 ms to import, so that happens at the first question;
a daemon whose workers will ask calls `load` before it forks.
"""

from __future__ import annotations

import os

from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from dns.name import Name
    from dns.nameserver import Nameserver
    from dns.resolver import Resolver

PORT = 53
ATTEMPT = 3.0  # seconds that one cache has for one answer
PATIENCE = 30.0  # seconds until we give up on a question
PAYLOAD = 1232  # bytes of a UDP answer that no path has to cut up
BOTH = (4, 6)


def load() -> None:
    """Import now what a question needs."""
    import dns.rdtypes.ANY.CNAME
    import dns.rdtypes.ANY.MX
    import dns.rdtypes.ANY.OPT
    import dns.rdtypes.ANY.PTR
    import dns.rdtypes.ANY.SOA
    import dns.rdtypes.ANY.TXT
    import dns.rdtypes.IN.A
    import dns.rdtypes.IN.AAAA
    import dns.resolver  # noqa: F401


def addresses(host: bytes, families: Iterable[int] = BOTH, search: bool = False) -> list[str]:
    """The addresses of *host*, family by family in the order asked for, each in the order of the answer.

    Args:
        host: a domain name.
        families: 4 for A, 6 for AAAA records.
        search: whether *host* may be completed from resolv.conf's search list.

    Raises:
        Temporary: we found none, and cannot be sure that there is none.
    """
    found: list[str] = []
    uncertain: Temporary | None = None
    for family in families:
        try:
            found += [record.address for record in ask(host, "A" if family == 4 else "AAAA", search)]
        except Temporary as trouble:
            uncertain = trouble
    if uncertain and not found:
        raise uncertain
    return found


def some_addresses(host: bytes, only_ipv4: bool) -> list[str]:
    """The addresses of a *host* that somebody has named to us, at least one.

    Raises:
        Temporary: it has none, or we cannot find out; in the words of ucspi-tcp.
    """
    try:
        found = addresses(host, (4,) if only_ipv4 else BOTH, search=True)
    except Temporary:
        raise Temporary(b"temporarily unable to figure out IP address for " + host) from None
    if not found:
        raise Temporary(b"no IP address for " + host)
    return found


def exchangers(host: bytes) -> list[tuple[int, bytes]]:
    """(preference, name) of each MX record of *host*, in the order of the answer.

    The name is empty when the host says that it takes no mail at all (RFC 7505).

    Raises:
        Temporary: we cannot know.
    """
    return [(record.preference, text(record.exchange)) for record in ask(host, "MX")]


def name_of(ip: str) -> bytes | None:
    """The name that the PTR record of the address *ip* gives, the first of several, or None.

    Raises:
        Temporary: we cannot know.
    """
    import dns.reversename

    records = ask(text(dns.reversename.from_address(ip)), "PTR")
    return (text(records[0].target) or None) if records else None


def texts(host: bytes) -> list[bytes]:
    """The TXT records of *host*, each put together from its strings.

    Raises:
        Temporary: we cannot know.
    """
    return [b"".join(record.strings) for record in ask(host, "TXT")]


def ask(host: bytes, kind: str, search: bool = False) -> list[Any]:
    """The records of type *kind* at *host*, as dnspython has them.

    Raises:
        Temporary: we cannot know.
    """
    import dns.exception
    import dns.resolver

    name = find_name(host, relative=search)
    if name is None:
        return []
    try:
        answer = resolver().resolve(name, kind, search=search, raise_on_no_answer=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
        return []
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise Temporary(b"unable to look up " + host + b": " + type(error).__name__.encode()) from None
    return list(answer.rrset or ())


def find_name(host: bytes, relative: bool = False) -> Name | None:
    """*host* as dnspython's name, or None when nothing in the domain name system can be called so."""
    import dns.exception
    import dns.name

    relative = relative and not host.endswith(b".")
    try:
        return dns.name.Name([*host.removesuffix(b".").split(b"."), *([] if relative else [b""])])
    except dns.exception.DNSException:
        return None


def text(name: Name) -> bytes:
    """*name* in bytes: lower case, without the last dot, `\\ooo` for what is not printable."""
    return b".".join(b"".join(map(printable, label.lower())) for label in name.labels if label)


def printable(character: int) -> bytes:
    """One byte of a label as text."""
    return b"%c" % character if 33 <= character <= 126 and character not in b".\\" else b"\\%03o" % character


def resolver() -> Resolver:
    """A resolver that asks whom it should, and not for longer than it should.

    Raises:
        ValueError: DNSCACHEIP is no list of addresses.
        NoResolverConfiguration: resolv.conf cannot be read or names nobody.
    """
    import dns.resolver

    caches = os.environb.get(b"DNSCACHEIP", b"").split()
    asking = dns.resolver.Resolver(configure=not caches)
    if caches:
        asking.nameservers = [cache(entry) for entry in caches]
    asking.timeout, asking.lifetime = ATTEMPT, PATIENCE
    asking.use_edns(0, 0, PAYLOAD)
    return asking


def cache(entry: bytes) -> Nameserver:
    """The cache that *entry* of DNSCACHEIP means: `IP`, `IP:port`, `[IP]` or `[IP]:port`."""
    import dns.nameserver

    address, port = entry, b""
    if entry.startswith(b"["):
        address, _, port = entry[1:].partition(b"]")
        port = port.removeprefix(b":")
    elif entry.count(b":") == 1:
        address, _, port = entry.partition(b":")
    return dns.nameserver.Do53Nameserver(address.decode("ascii"), int(port or PORT))
