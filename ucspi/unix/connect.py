"""Connect to a socket in the file system, as a UCSPI client does."""

from __future__ import annotations

import socket

from ucspi.descriptors import put_connection
from ucspi.unix.address import address, put_variables
from ucspi.unix.failure import step


def connect(path: bytes) -> None:
    """Connect to the socket at *path*: a program finds it on descriptors 6 and 7, and its variables.

    Raises:
        Failed: there is nobody.
    """
    connection = step(b"socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    with connection:
        step(b"connect", lambda: connection.connect(address(path)))
        put_variables(connection, path)
        step(b"dup2", lambda: put_connection(connection))
