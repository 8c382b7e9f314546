"""Addresses of both families as text, and numbers of ports.

Text of an address is what `socket` gives: `192.0.2.1`, `2001:db8::1`, and
`::ffff:192.0.2.1` for an IPv4 peer on an IPv6 socket (IPv4-mapped, RFC 4291 2.5.5.2).
"""

from __future__ import annotations

import os
import socket

MAPPED = "::ffff:"


def parse(text: bytes) -> str | None:
    """The address that *text* writes out, in its usual form, or None when it is no address.

    An IPv6 address may name its interface: `fe80::1%eth0`.  As the originals read them,
    the numbers of an IPv4 address may begin with zeros and are decimal nevertheless.
    """
    if b":" in text and b"\0" not in text:  # which no name of an interface has either
        address, percent, interface = text.decode("ascii", "replace").partition("%")
        try:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address)) + percent + interface
        except OSError:
            return None
    numbers = [number.lstrip(b"0") or number[:1] for number in text.split(b".")]
    if len(numbers) == 4 and all(number.isdigit() and len(number) <= 3 and int(number) < 256 for number in numbers):
        return ".".join(str(int(number)) for number in numbers)
    return None


def family(ip: str) -> socket.AddressFamily:
    """The family of sockets that *ip* is for."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def plain(ip: str) -> str:
    """*ip*, an IPv4-mapped one as IPv4."""
    return ip.removeprefix(MAPPED) if ip.startswith(MAPPED) and "." in ip else ip


def mapped(ip: str) -> str:
    """*ip*, an IPv4 one as IPv4-mapped IPv6."""
    return ip if ":" in ip else MAPPED + ip


def port_number(text: bytes) -> int | None:
    """The port that *text* means: a number, or a TCP service by name; None for none."""
    if text.isdigit() or not text:  # as the original: an empty word is port 0, any free one
        return int(text or 0) if len(text) <= 5 and int(text or 0) <= 65535 else None
    try:
        return socket.getservbyname(text.decode("ascii"), "tcp")
    except (OSError, ValueError):
        return None


def leading_number(text: bytes) -> int:
    """The decimal digits that *text* begins with, as a number (of no more than 64 bits); 0 for none."""
    digits = len(text) - len(text.lstrip(b"0123456789"))
    return int(text[:digits][:19] or 0)


def interface_number(name: bytes) -> int:
    """The number of the network interface *name*; as the original, 0 when there is none."""
    try:
        return socket.if_nametoindex(os.fsdecode(name))
    except OSError:
        return 0
