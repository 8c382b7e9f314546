"""The last lines of logs: of each only the end of `current` is read, and only when it has changed."""

from __future__ import annotations

import os

from supervise.stamp import SIZE

USUAL = b"main"  # the log directory of a service, in its folder `log`
CURRENT = b"current"
END = 4096  # bytes that are read
DIGITS = b"0123456789abcdef"


class LastLine:
    """The last line of one service's log.

    Args:
        folder: the service directory of the log, `NAME/log`.
    """

    __slots__ = ("file", "folder", "mark", "text")

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self.file = b""
        self.mark: tuple[int, int, int] | None = None
        self.text = b""

    def read(self) -> bytes:
        """The line without its stamp; the one before if there is none now; empty if there never was one."""
        try:
            self.refresh()
        except OSError:
            self.file = b""  # it may have been moved
        return self.text

    def refresh(self) -> None:
        """Look whether there is a newer line."""
        if not self.file:
            self.file = current_in(self.folder)
        if not self.file:
            return
        status = os.stat(self.file)
        mark = status.st_ino, status.st_size, status.st_mtime_ns
        if mark != self.mark:
            line = last_of(end_of(self.file))
            self.mark = mark
            if line:
                self.text = line


def current_in(folder: bytes) -> bytes:
    """The file that a log is being written to, below *folder*; empty if there is none."""
    for name in [USUAL, b".", *sorted(each.name for each in os.scandir(folder) if each.is_dir())]:
        file = os.path.join(folder, name, CURRENT)
        if os.path.isfile(file):
            return file
    return b""


def end_of(file: bytes) -> bytes:
    """The last END bytes of *file*.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.pread(fd, END, max(0, os.fstat(fd).st_size - END))
    finally:
        os.close(fd)


def last_of(text: bytes) -> bytes:
    """The last line of *text* that has anything in it, without its stamp."""
    line = text.rstrip(b"\n").rpartition(b"\n")[2]
    if line[:1] == b"@" and line[SIZE : SIZE + 1] == b" " and not line[1:SIZE].strip(DIGITS):
        line = line[SIZE + 1 :]
    return line
