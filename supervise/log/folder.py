"""An open folder, whose files are reached whatever becomes of its own name."""

from __future__ import annotations

import os

from supervise.files import rename


class Folder:
    """The folder *name*, made when it is missing.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700)
        except OSError:
            pass
        self.fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        status = os.fstat(self.fd)
        self.identity = b"%d.%d" % (status.st_dev, status.st_ino)  # whatever it is called

    def enter(self) -> None:
        """Make it the working directory."""
        os.fchdir(self.fd)

    def close(self) -> None:
        os.close(self.fd)

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed it."""
        return os.fstat(self.fd).st_nlink == 0

    def open(self, name: bytes, flags: int, mode: int = 0) -> int:
        """Open the file *name*; its descriptor."""
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=self.fd)

    def stat(self, name: bytes) -> os.stat_result | None:
        """What the system knows of the file *name*, None when there is none."""
        try:
            return os.stat(name, dir_fd=self.fd)
        except FileNotFoundError:
            return None

    def names(self) -> list[bytes]:
        """The names of all files."""
        return [os.fsencode(name) for name in os.listdir(self.fd)]

    def taken(self, name: bytes) -> bool:
        """Whether there is anything under *name*."""
        try:
            os.lstat(name, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename *old* to *new*; names reach the disk in their order, at the latest with a later sync of a file."""
        rename(old, new, sync=False, folder=self.fd)

    def read(self, name: bytes, size: int, at: int) -> bytes:
        """At most *size* bytes of the file *name*, from *at* on."""
        fd = self.open(name, os.O_RDONLY)
        try:
            return os.pread(fd, size, at)
        finally:
            os.close(fd)

    def remove(self, name: bytes) -> None:
        """Remove the file *name*, if there is one."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            pass
