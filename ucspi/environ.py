"""What a UCSPI program finds in its environment (https://cr.yp.to/ucspi-tcp/environment.html).

    PROTO               TCP, or TCP6 when the connection is an IPv6 one
    TCPLOCALIP          our address
    TCPLOCALPORT        our port
    TCPLOCALHOST        the name of our address
    TCPREMOTEIP         the other end's address
    TCPREMOTEPORT       its port
    TCPREMOTEHOST       the name of its address
    TCPREMOTEINFO       who opened the connection there (RFC 1413)

What is not known is not in the environment.  The IPv6 build of the original sets all but
PROTO a second time as TCP6LOCALIP and so on, with IPv4 addresses as `::ffff:192.0.2.1`,
and the name of the interface of a link-local address as TCP6INTERFACE.
"""

from __future__ import annotations

import os

from supervise.environment import change
from ucspi import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.environment import Variable


class End:
    """One end of a connection: *ip* as its socket has it, *port*, *host* when that is known."""

    __slots__ = ("host", "interface", "ip", "port")

    def __init__(self, ip: str, port: int, host: bytes | None = None, interface: int = 0) -> None:
        self.ip, self.port, self.host, self.interface = ip, port, host, interface

    @classmethod
    def of(cls, address: tuple[str, int] | tuple[str, int, int, int]) -> End:
        """The end at *address*, as `getsockname` and `accept` give it."""
        return cls(address[0].partition("%")[0], address[1], None, address[3] if len(address) == 4 else 0)

    @property
    def parts(self) -> tuple[str, int, bytes | None, int]:
        """What it is made from."""
        return self.ip, self.port, self.host, self.interface

    def address(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """What `bind` and `connect` take for *port* of this end's machine."""
        return (self.ip, port, 0, self.interface) if ":" in self.ip else (self.ip, port)


def variables(local: End, remote: End, info: bytes | None, as_ipv6: bool = False) -> list[Variable]:
    """The variables of a connection; the value None says that a variable is to be unset.

    Args:
        info: who opened the connection, or None.
        as_ipv6: present an IPv4 connection as an IPv6 one.
    """
    form = shown_ip(remote.ip, as_ipv6)
    found: list[Variable] = [(b"PROTO", b"TCP6" if ":" in form else b"TCP")]
    for end, side in ((local, b"LOCAL"), (remote, b"REMOTE")):
        port = b"%d" % end.port
        found += [
            (b"TCP%sIP" % side, shown_ip(end.ip, as_ipv6).encode()),
            (b"TCP%sPORT" % side, port),
            (b"TCP%sHOST" % side, end.host),
            (b"TCP6%sIP" % side, ip.mapped(end.ip).encode()),
            (b"TCP6%sPORT" % side, port),
            (b"TCP6%sHOST" % side, end.host),
        ]
    found += [(b"TCPREMOTEINFO", info), (b"TCP6REMOTEINFO", info), (b"TCP6INTERFACE", interface_name(remote))]
    return found


def shown_ip(address: str, as_ipv6: bool) -> str:
    """*address* as programs and rules see it: IPv4 without the mapping, unless all is to look like IPv6."""
    return ip.mapped(address) if as_ipv6 else ip.plain(address)


def interface_name(end: End) -> bytes | None:
    """The interface that *end* is link-local to."""
    import socket

    if not end.interface:
        return None
    try:
        return os.fsencode(socket.if_indextoname(end.interface))
    except OSError:
        return None


def put(changes: Iterable[Variable]) -> None:
    """Set the variables in *changes*, as far as a C string goes; unset those whose value is None."""
    change((name, value and value.partition(b"\0")[0]) for name, value in changes if name or value is None)


def as_ssl(variables: Iterable[Variable], tcp_too: bool) -> list[Variable]:
    """*variables* under the names of ucspi-ssl: SSLREMOTEIP and so on; under their own, too, or those are unset."""
    tcp = [pair for pair in variables if pair[0] != b"PROTO"]
    own = [(b"SSL" + name[3:], value) for name, value in tcp if not name.startswith(b"TCP6")]
    return [(b"PROTO", b"SSL"), *own, *(tcp if tcp_too else [(name, None) for name, _ in tcp])]


def from_entries(entries: bytes) -> list[tuple[bytes, bytes]]:
    """The variables in *entries*, each `NAME=value` and NUL."""
    pairs = (entry.partition(b"=") for entry in entries.split(b"\0") if entry)
    return [(name, value) for name, _, value in pairs]
