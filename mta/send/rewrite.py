"""Rewriting: where a recipient's mail goes and under which name; and back again for bounces.

In this order: an address without a host gets one; the percent hack; hosts of our own; virtual
domains, by the whole address, the host, each `.suffix` of the host from the longest, and the
empty entry for all others.  What is left is for another host.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.send.controls import Controls

LOCAL, REMOTE = 0, 1
EACH = b"-@[]"  # a sender that ends so is made another one for each recipient


def rewrite(recipient: bytes, controls: Controls) -> tuple[int, bytes]:
    """LOCAL or REMOTE, and the address to use there."""
    box, at, host = recipient.rpartition(b"@")
    if not at:
        box, host = recipient, controls.envnoathost
    while host.lower() in controls.percenthack:
        before, percent, after = box.rpartition(b"%")
        if not percent:
            break
        box, host = before, after
    address = box + b"@" + host
    host = address.rpartition(b"@")[2]
    if host.lower() in controls.locals:
        return LOCAL, address
    if controls.virtualdomains:
        for key in (address.lower(), *suffixes(host.lower())):
            prepend = controls.virtualdomains.get(key)
            if prepend is not None:
                return (LOCAL, prepend + b"-" + address) if prepend else (REMOTE, address)
    return REMOTE, address


def suffixes(host: bytes) -> Iterator[bytes]:
    """*host*, then what begins at each of its dots, then the empty name."""
    yield host
    at = host.find(b".", 1)
    while at >= 0:
        yield host[at:]
        at = host.find(b".", at + 1)
    if host:
        yield b""


def without_prepend(address: bytes, virtualdomains: dict[bytes, bytes]) -> bytes:
    """*address* as the sender knew it: what a virtual domain put in front is taken away."""
    host = address.rpartition(b"@")[2] if b"@" in address else None
    if host is not None and virtualdomains:
        for key in suffixes(host.lower()):
            prepend = virtualdomains.get(key)
            if prepend is not None:
                return address[len(prepend) + 1 :] if prepend and address.startswith(prepend + b"-") else address
    return address


def sender_for(sender: bytes, recipient: bytes) -> bytes:
    """The sender to give with *recipient*: `owner-@host-@[]` becomes `owner-box=recipienthost@host`."""
    if not sender.endswith(EACH):
        return sender
    owner, at, host = sender[: -len(EACH)].rpartition(b"@")
    box, recipient_at, recipient_host = recipient.rpartition(b"@")
    if not at or not recipient_at:
        return sender
    return owner + box + b"=" + recipient_host + b"@" + host


def bounces_to(sender: bytes) -> bytes:
    """Who hears of failures when *sender* was the sender: `owner-@host-@[]` is `owner-@host`."""
    return sender.removesuffix(EACH)
