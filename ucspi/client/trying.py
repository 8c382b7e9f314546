"""Try the addresses of a server one after the other, until one answers."""

from __future__ import annotations

import errno
import os
import socket

from supervise.command import say
from supervise.errors import Temporary, reason
from ucspi import dns, ip
from ucspi.client.settings import ERRORS, Settings
from ucspi.connect import limit, reach
from ucspi.environ import End

THIS_HOST = (b"", b"0")
LOOPBACK = ("127.0.0.1", "::1")
ANY = ("0.0.0.0", "::")


def addresses(host: bytes, only_ipv4: bool) -> list[str]:
    """The addresses of *host*, at least one.

    Raises:
        Temporary: it has none, or we cannot find out.
    """
    if host in THIS_HOST:
        return list(LOOPBACK[:1] if only_ipv4 else LOOPBACK)
    literal = ip.parse(host)
    if literal is not None:
        return [ip.plain(literal)]
    return dns.some_addresses(host, only_ipv4)


def connect_to_one(servers: list[str], settings: Settings) -> socket.socket | None:
    """A connection to the first of *servers* that answers, or None; which did not, and why, has been said.

    Each has a short time at first. If none answers, those that are merely slow have a longer one.

    Raises:
        Temporary: we cannot have the local address that we are to have, or no socket.
    """
    first, second = settings.patience
    if len(servers) == 1:
        first, second = first + second, 0
    rounds = [seconds for seconds in (first, second) if seconds] or [0]
    while rounds:
        seconds = rounds.pop(0)
        slow: list[str] = []
        for server in servers:
            try:
                return connect(server, settings, seconds)
            except TimeoutError as error:
                if rounds:
                    slow.append(server)
                else:
                    complain(server, settings, error)
            except OSError as error:
                complain(server, settings, error)
        servers = slow
    return None


def connect(server: str, settings: Settings, seconds: int) -> socket.socket:
    """A connection to *server*.

    Raises:
        OSError: it does not answer, or not within *seconds*, or cannot be reached from our local address.
        Temporary: see `connect_to_one`.
    """
    if settings.only_ipv4 and ":" in server:
        raise wrong_family()
    connection = open_socket(server)
    try:
        bind(connection, settings)
        limit(connection, seconds)
        reach(connection, end(server, settings.interface).address(settings.port))
        limit(connection, None)  # the program knows of none
    except BaseException:
        connection.close()
        raise
    return connection


def open_socket(server: str) -> socket.socket:
    """A socket for a connection to *server*."""
    try:
        return socket.socket(ip.family(server), socket.SOCK_STREAM)
    except OSError as error:
        raise Temporary(b"unable to create socket", error) from None


def bind(connection: socket.socket, settings: Settings) -> None:
    """Give *connection* the local address and port that it is to have.

    Raises:
        OSError: the server has none of that kind.
        Temporary: see `connect_to_one`.
    """
    anything = ANY[connection.family == socket.AF_INET6]
    local = anything if settings.local_ip in (None, *ANY) else settings.local_ip
    if local == anything and not settings.local_port:
        return
    assert local
    if ip.family(local) != connection.family:
        raise wrong_family()
    try:
        connection.bind(end(local, settings.interface).address(settings.local_port))
    except OSError as error:
        raise Temporary(b"unable to bind socket", error) from None


def end(address: str, interface: int) -> End:
    """The end at *address*, which may name its interface; else it is *interface*."""
    bare, _, name = address.partition("%")
    return End(bare, 0, None, ip.interface_number(os.fsencode(name)) if name else interface)


def wrong_family() -> OSError:
    """What the system says when an address is of the wrong kind."""
    return OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))


def complain(server: str, settings: Settings, error: OSError) -> None:
    """Say why *server* cannot be reached."""
    if settings.verbosity >= ERRORS:
        where = b"%s port %d" % (server.encode(), settings.port)
        say(settings.name + b": unable to connect to " + where + b": " + reason(error))
