"""Connect to a TCP service, with time limits that the kernel keeps.

The limits are options of the socket (SO_SNDTIMEO, SO_RCVTIMEO; see socket(7)): a call that
waits too long fails by itself, so nobody has to poll before each read and write.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from ucspi.ip import family


def connect(address: str, port: int, seconds: int) -> socket.socket:
    """A connection to *port* of *address* (IPv4 or IPv6, as text).

    Raises:
        TimeoutError: nothing answered within *seconds* (at least one), or within the kernel's own patience.
        OSError: somebody or something refused.
    """
    connection = socket.socket(family(address), socket.SOCK_STREAM)
    try:
        limit(connection, seconds)
        connection.connect((address, port))
    except BlockingIOError:  # how the kernel says that the limit is over
        connection.close()
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    except BaseException:
        connection.close()
        raise
    return connection


def limit(connection: socket.socket, seconds: int) -> None:
    """From now on each read and write that is stuck for *seconds* (at least one) raises `BlockingIOError`."""
    interval = struct.pack("@ll", max(1, min(seconds, 0x7FFFFFFF)), 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
