"""The socket that unixserver accepts connections from."""

from __future__ import annotations

import os
import socket

from ucspi.unix.address import address
from ucspi.unix.failure import step
from ucspi.unix.settings import UNSET, Settings

SOMAXCONN = 0x7FFFFFFF  # the system cuts it down to its own limit


def listen(settings: Settings) -> socket.socket:
    """The socket, with the owner and the mode that it is to have before anybody can connect.

    Whatever was at its path before is gone then.

    Raises:
        Failed: we cannot listen there.
    """
    path = settings.path
    unlink(path)
    listening = step(b"socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    mask = os.umask(settings.mask & 0o777)
    try:
        step(b"bind", lambda: listening.bind(address(path)))
    finally:
        os.umask(mask)
    uid, gid = settings.socket_uid, settings.socket_gid
    step(b"chown", lambda: os.chown(path, number(uid), number(gid)))
    if settings.mode:
        step(b"chmod", lambda: os.chmod(path, settings.mode & 0o7777))
    step(b"listen", lambda: listening.listen(min(settings.backlog, SOMAXCONN)))
    listening.setblocking(False)
    return listening


def become(settings: Settings) -> None:
    """Take on the group and the user that we were told to; as the original, other groups stay.

    Raises:
        Failed: we may not.
    """
    if settings.gid != UNSET:
        step(b"setgid", lambda: os.setgid(settings.gid))
    if settings.uid != UNSET:
        step(b"setuid", lambda: os.setuid(settings.uid))


def unlink(path: bytes) -> None:
    """Take *path* away, if it is there and we may."""
    try:
        os.unlink(path)
    except OSError:
        pass


def number(account: int) -> int:
    """What `chown` takes for *account*."""
    return -1 if account == UNSET else account
