"""The sockets that tcpserver accepts connections from."""

from __future__ import annotations

import errno
import os
import socket

from supervise.errors import Temporary
from ucspi import dns, ip
from ucspi.tcp.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

SOMAXCONN = 0x7FFFFFFF  # the system cuts it down to its own limit
FIRST = 3  # descriptor of the first socket that is handed over


def listen(settings: Settings) -> list[socket.socket]:
    """The sockets: those that whoever started us has opened for us, or else our own.

    Raises:
        Temporary: we cannot listen there.
    """
    return handed_over() or [listen_to(host, port, settings) for host, port in settings.places]


def listen_to(host: bytes, service: bytes, settings: Settings) -> socket.socket:
    """A socket of our own for *host* and the port *service*.

    Raises:
        Temporary: we cannot listen there.
    """
    port = ip.port_number(service)
    if port is None:
        raise Temporary(b"unable to figure out port number for " + service)
    address = find_address(host, settings.only_ipv4)
    family = ip.family(address)
    listening = step(b"unable to create socket", lambda: socket.socket(family, socket.SOCK_STREAM))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place: tuple[str, int] | tuple[str, int, int, int] = (address, port)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # :: is for both families
        bare, _, interface = address.partition("%")
        place = (bare, port, 0, ip.interface_number(os.fsencode(interface)) if interface else settings.interface)
    where = b" to %s port %d" % (host, port) if len(settings.places) > 1 else b""
    step(b"unable to bind" + where, lambda: listening.bind(place))
    step(b"unable to listen", lambda: listening.listen(min(settings.backlog, SOMAXCONN)))
    listening.setblocking(False)
    return listening


def find_address(host: bytes, only_ipv4: bool) -> str:
    """The address that *host* means.

    Raises:
        Temporary: it has none, or we cannot find it out.
    """
    literal = "0.0.0.0" if host in (b"", b"0") else ip.parse(host)
    if literal is None:
        return dns.some_addresses(host, only_ipv4)[0]
    if only_ipv4 and ":" in literal:
        if literal == "::":
            return "0.0.0.0"
        raise Temporary(b"unable to bind", OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT)))
    return literal


def handed_over() -> list[socket.socket]:
    """The sockets that LISTEN_FDS counts, if LISTEN_PID is our process (sd_listen_fds(3)); from now on ours alone.

    Raises:
        Temporary: one of them is no socket for TCP that listens.
    """
    if os.environb.get(b"LISTEN_PID") != b"%d" % os.getpid():
        return []
    count = ip.leading_number(os.environb.get(b"LISTEN_FDS", b""))
    for name in (b"LISTEN_PID", b"LISTEN_FDS", b"LISTEN_FDNAMES"):
        os.environb.pop(name, None)
    return [take_over(fd) for fd in range(FIRST, FIRST + count)]


def take_over(fd: int) -> socket.socket:
    """The listening socket *fd*, closed when a program is run.

    Raises:
        Temporary: it is none.
    """
    try:
        listening = socket.socket(fileno=fd)
        right = (
            listening.family in (socket.AF_INET, socket.AF_INET6)
            and listening.type == socket.SOCK_STREAM
            and listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        )
    except OSError as error:
        raise Temporary(b"unable to use descriptor %d of LISTEN_FDS" % fd, error) from None
    if not right:
        raise Temporary(b"unable to use descriptor %d of LISTEN_FDS: not a TCP socket that listens" % fd)
    listening.set_inheritable(False)
    listening.setblocking(False)
    return listening


def step(what: bytes, call: Callable[[], Result]) -> Result:
    """The result of *call*; if it fails, we are *what*."""
    try:
        return call()
    except OSError as error:
        raise Temporary(what, error) from None
    except OverflowError:  # a number that the system has no room for
        raise Temporary(what, OSError(errno.EINVAL, os.strerror(errno.EINVAL))) from None
