"""Hand a message over to the submission server, qmail-queued.

The server listens on HOME/run/submit, a Unix stream socket that everybody may connect to.
The client sends one byte with two descriptors attached (SCM_RIGHTS), the message and the
envelope, both to be read to their ends.  The server answers one line and closes:

    CODE PID\\n      qmail-queue's exit code, and the number that goes after `qp`

No line means that the process that did the work died.  Who submits is told by the kernel (SO_PEERCRED).
"""

from __future__ import annotations

import os

from mta.home import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

FOLDER = b"run"
NAME = b"submit"
READY = b"q"  # the byte that carries the descriptors
LONGEST = 32  # bytes of an answer


def connect() -> socket | None:
    """A connection to the server, or None: nobody listens."""
    from socket import AF_UNIX, SOCK_STREAM, socket

    try:
        folder = os.open(path(FOLDER), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        connection = socket(AF_UNIX, SOCK_STREAM)
        # An address has room for 107 bytes, whatever the home is called.
        connection.connect(b"/proc/self/fd/%d/%s" % (folder, NAME))
    except OSError:
        return None
    finally:
        os.close(folder)
    return connection


def hand_over(connection: socket, message: int, envelope: int) -> None:
    """Give both descriptors to the server; ours stay open.

    Raises:
        OSError: one of them is no descriptor.
    """
    from socket import MSG_NOSIGNAL, send_fds

    try:
        send_fds(connection, [READY], [message, envelope], MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError):  # what it said before it left is still there
        pass


def answer(connection: socket) -> tuple[int, int] | None:
    """Wait for the exit code and the pid; None when the server's process died."""
    line = b""
    try:
        while not line.endswith(b"\n") and len(line) < LONGEST:
            data = connection.recv(LONGEST)
            if not data:
                return None
            line += data
    except ConnectionResetError:
        return None
    code, _, pid = line.partition(b" ")
    return int(code), int(pid)
