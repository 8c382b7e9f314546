"""Where the program of a UCSPI client finds its connection."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

READING, WRITING = 6, 7


def put_connection(connection: socket) -> None:
    """Move *connection* to descriptors 6 and 7, whatever was there.

    Raises:
        OSError: we may not have so many.
    """
    fd = connection.detach()
    for number in (READING, WRITING):
        if fd == number:
            os.set_inheritable(fd, True)
        else:
            try:
                os.dup2(fd, number)
            except OSError:  # EBADF, of a number that is too high
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from None
    if fd not in (READING, WRITING):
        os.close(fd)
