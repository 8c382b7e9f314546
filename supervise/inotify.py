"""What happens in folders, as the kernel tells it: inotify(7), which the standard library does not have.

The package inotify_simple runs ldconfig when it is imported, and needs twice the time: not for process 1.
Importing this costs 8 ms, for ctypes; whoever needs it only now and then imports it only then.
"""

from __future__ import annotations

import ctypes
import os
import struct

MODIFY = 0x2
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
ONLY_FOLDER = 0x01000000  # with `add`: refuse what is no folder
OVERFLOW = 0x4000  # in an event without a name: there were more events than the kernel keeps
IS_FOLDER = 0x40000000  # in an event: the name is a folder's

EVENT = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name that follows
NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
READ = 65536  # bytes of events taken at a time


class Inotify:
    """Folders and files that are watched.  Poll `fileno()` for reading and call `events()`.

    Raises:
        OSError: the kernel has no room for it.
    """

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = checked(self.libc.inotify_init1(NONBLOCK_CLOEXEC))

    def fileno(self) -> int:
        return self.fd

    def add(self, path: bytes, mask: int) -> int:
        """Watch *path* for the events in *mask*; the number that its events have.

        Raises:
            OSError: it is not there, may not be watched, or the kernel has no room for it.
        """
        return checked(self.libc.inotify_add_watch(self.fd, path, ctypes.c_uint32(mask)), path)

    def remove(self, watch: int) -> None:
        """Watch it no longer; nothing happens when it is gone by itself."""
        self.libc.inotify_rm_watch(self.fd, watch)

    def events(self) -> list[tuple[int, int, bytes]]:
        """What has happened since the last call, as (watch, mask, name); never blocks."""
        try:
            data = os.read(self.fd, READ)
        except BlockingIOError:
            return []
        found = []
        at = 0
        while at < len(data):
            watch, mask, _, size = EVENT.unpack_from(data, at)
            at += EVENT.size + size
            found.append((watch, mask, data[at - size : at].rstrip(b"\0")))
        return found

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self.fd)


def checked(result: int, path: bytes | None = None) -> int:
    """*result*, unless it stands for an error."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
