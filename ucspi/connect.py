"""Connect to a TCP service, with time limits that the kernel keeps.

The limits are options of the socket (SO_SNDTIMEO, SO_RCVTIMEO; see socket(7)): a call that
waits too long fails by itself, so nobody has to poll before each read and write.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from supervise.errors import Temporary
from ucspi.ip import family


def connect(address: str, port: int, seconds: int, source: str | None = None) -> socket.socket:
    """A connection to *port* of *address* (IPv4 or IPv6, as text), which keeps *seconds* as its limit.

    Args:
        source: the address of ours that it comes from, of the same family; None leaves that to the system.

    Raises:
        TimeoutError: nothing answered within *seconds* (at least one), or within the kernel's own patience.
        OSError: somebody or something refused.
        Temporary: we cannot have the address *source*.
    """
    connection = socket.socket(family(address), socket.SOCK_STREAM)
    try:
        if source:
            bind(connection, source)
        limit(connection, seconds)
        reach(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def bind(connection: socket.socket, source: str) -> None:
    """Have *connection* come from *source*, from any port.

    Raises:
        Temporary: we cannot have that address.
    """
    try:
        connection.bind((source, 0))
    except OSError as error:
        raise Temporary(b"unable to bind to " + source.encode(), error) from None


def reach(connection: socket.socket, address: tuple[str, int] | tuple[str, int, int, int]) -> None:
    """Connect a socket to *address*, as its kind has it.

    Raises:
        TimeoutError: nothing answered within the limit of the socket, or within the kernel's own patience.
        OSError: somebody or something refused.
    """
    try:
        connection.connect(address)
    except BlockingIOError:  # how the kernel says that the limit is over
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None


def limit(connection: socket.socket, seconds: int | None) -> None:
    """From now on each read and write that is stuck for *seconds* (at least one) raises `BlockingIOError`.

    None takes the limit away.
    """
    interval = struct.pack("@ll", 0 if seconds is None else max(1, min(seconds, 0x7FFFFFFF)), 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
