"""The addresses of this machine.

Who meets an address asks whether it is ours: a server, for a mail address with an IP
literal; a client, for a mail exchanger that would be itself.
"""

from __future__ import annotations

import binascii
import fcntl
import os
import socket
import struct

from supervise.errors import Temporary

SIOCGIFCONF, SIOCGIFFLAGS = 0x8912, 0x8913
IFF_UP = 1
REQUEST = struct.Struct("16s24x" if struct.calcsize("P") == 8 else "16s16x")  # struct ifreq: name, address or flags
MOST = 4096  # addresses
IPV6 = b"/proc/net/if_inet6"
THIS_HOST = ("0.0.0.0", "::")  # RFC 1122, section 3.2.1.3: this host on this network


def addresses() -> frozenset[str]:
    """All addresses of this machine's interfaces that are up, and those that always mean this machine.

    IPv4 as dotted digits, IPv6 as `inet_ntop` writes it.

    Raises:
        Temporary: the system does not tell.
    """
    try:
        return frozenset([*THIS_HOST, *ipv4(), *ipv6()])
    except OSError as error:
        raise Temporary(b"unable to find my IP addresses", error) from None


def ipv4() -> list[str]:
    """The IPv4 addresses of interfaces that are up."""
    import array

    room = array.array("B", bytes(MOST * REQUEST.size))
    place, _ = room.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFCONF, struct.pack("iP", len(room), place))
        size, _ = struct.unpack("iP", answer)
        found = []
        for at in range(0, size, REQUEST.size):
            interface = bytes(room[at : at + REQUEST.size])
            flags = fcntl.ioctl(any_socket, SIOCGIFFLAGS, interface)
            if struct.unpack_from("H", flags, 16)[0] & IFF_UP:
                found.append(socket.inet_ntop(socket.AF_INET, interface[20:24]))
        return found


def ipv6() -> list[str]:
    """The IPv6 addresses of interfaces; none on a machine without IPv6."""
    try:
        fd = os.open(IPV6, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    with os.fdopen(fd, "rb") as table:
        return [socket.inet_ntop(socket.AF_INET6, binascii.unhexlify(line[:32])) for line in table]
