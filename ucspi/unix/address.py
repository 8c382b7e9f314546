"""Sockets in the file system, and what a UCSPI program learns of a connection through one.

PROTO               UNIX
UNIXLOCALPATH       the path of the socket
UNIXLOCALUID        our user, by number
UNIXLOCALGID        our group
UNIXLOCALPID        our process
UNIXREMOTEEUID      the user of the other side, when it connected or began to listen
UNIXREMOTEEGID      its group
UNIXREMOTEPID       its process
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from ucspi.environ import put

LONGEST = 107  # bytes of a path that the interpreter takes; the system, which needs no NUL, has room for one more
PEER = struct.Struct("@iII")  # pid, uid, gid; see SO_PEERCRED in unix(7)


def address(path: bytes) -> bytes:
    """What `bind` and `connect` take for *path*.

    Raises:
        OSError: it is too long (EINVAL).
    """
    if len(path) > LONGEST:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return path


def put_variables(connection: socket.socket, path: bytes) -> None:
    """Set the variables of a *connection* through *path*, those of the other side if the system tells them."""
    put(
        [
            (b"PROTO", b"UNIX"),
            (b"UNIXLOCALPATH", path),
            (b"UNIXLOCALUID", b"%d" % os.getuid()),
            (b"UNIXLOCALGID", b"%d" % os.getgid()),
            (b"UNIXLOCALPID", b"%d" % os.getpid()),
        ]
    )
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    except OSError:
        return
    pid, uid, gid = PEER.unpack(told)
    put([(b"UNIXREMOTEPID", b"%d" % pid), (b"UNIXREMOTEEUID", b"%d" % uid), (b"UNIXREMOTEEGID", b"%d" % gid)])
