"""Where the program of a UCSPI client finds its connection."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

READING, WRITING = 6, 7


def put_connection(connection: socket) -> None:
    """Move *connection* to descriptors 6 and 7, whatever was there.

    Raises:
        OSError: there is no descriptor left.
    """
    with connection:
        lifted = fcntl.fcntl(connection, fcntl.F_DUPFD_CLOEXEC, WRITING + 1)
    for number in (READING, WRITING):
        os.dup2(lifted, number)
    os.close(lifted)
