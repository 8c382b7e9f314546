"""The addresses of this machine.

Who meets an address asks whether it is ours: a server, for a mail address with an IP
literal; a client, for a mail exchanger that would be itself.
"""

from __future__ import annotations

from supervise.errors import Temporary

THIS_HOST = ("0.0.0.0", "::")  # RFC 1122, section 3.2.1.3: this host on this network


def addresses() -> frozenset[str]:
    """The addresses of this machine's interfaces, and those that always mean this machine.

    They are IPv4 as dotted digits and IPv6 as `inet_ntop` writes it, without the interface.

    Raises:
        Temporary: the system does not tell.
    """
    import socket

    import psutil  # 11 ms

    try:
        interfaces = psutil.net_if_addrs()
    except OSError as error:
        raise Temporary(b"unable to find my IP addresses", error) from None
    families = (socket.AF_INET, socket.AF_INET6)
    found = [entry.address for entries in interfaces.values() for entry in entries if entry.family in families]
    return frozenset([*THIS_HOST, *(address.partition("%")[0] for address in found)])
