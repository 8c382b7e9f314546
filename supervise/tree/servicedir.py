"""A service directory: what it holds, how others reach the supervise that watches it, and where services are.

    NAME/run                 the program; supervise runs `./run` in NAME
    NAME/down                when it is there, the service is not started by itself
    NAME/log/                a service directory of its own: what reads the output of ./run
    NAME/supervise/          made by supervise, mode 0700
        lock                 locked by the supervise that watches NAME, as long as it lives; empty,
                             but for the moment in which ./run is started: see `mark`
        ok                   FIFO that supervise holds open for reading: who can open it for
                             writing knows that a supervise is there
        control              FIFO of commands, one byte each; the table is in `service`
        status               18 bytes, the record below; replaced by way of status.new
        state                more about it, in words: see `state`; replaced by way of state.new
        notifications        file to which ./run writes a line when it is ready

What else NAME may hold, see `settings`.

The record `status`:

    bytes 0-11   when the service last went up or down: TAI64N, external format
    bytes 12-15  the number of its process, low byte first; 0 when it is down
    byte 16      1 while it is paused, else 0
    byte 17      what is wanted: `u` up, `d` down, NUL no more than it was told (once)

Commands that are not told where services are ask `scanned`.
"""

from __future__ import annotations

import errno
import os

from supervise import stamp

RUN = b"./run"
FINISH = b"./finish"
NORMALLY_DOWN = b"down"
FOLDER = b"supervise"
LOCK = b"supervise/lock"
OK = b"supervise/ok"
CONTROL = b"supervise/control"
STATUS = b"supervise/status"
DRAFT = b"supervise/status.new"
STATE = b"supervise/state"
STATE_DRAFT = b"supervise/state.new"
NOTIFICATIONS = b"supervise/notifications"

UP, DOWN, ONCE = b"u", b"d", b"\0"  # what is wanted
SIZE = 18  # of the record; readers ignore what a newer supervise puts behind it
NOT_RUNNING = b"supervise not running"
USUAL = (b"/service", b"/etc/service", b"/var/qmail/service")  # where svscan is told to look


class Status:
    """The record `supervise/status`.

    Args:
        since: nanoseconds since 1970 at which the service went up or down.
        pid: its process, 0 when it is down.
        paused: it has been stopped by `svc -p`.
        want: b"u", b"d" or b"\\0".
    """

    __slots__ = ("paused", "pid", "since", "want")

    def __init__(self, since: int, pid: int, paused: bool, want: bytes) -> None:
        self.since, self.pid, self.paused, self.want = since, pid, paused, want

    @classmethod
    def parse(cls, record: bytes) -> Status:
        """The status in *record*.

        Raises:
            ValueError: the record is too short.
        """
        if len(record) < SIZE:
            raise ValueError
        pid = int.from_bytes(record[12:16], "little")
        return cls(stamp.unpack(record), pid, record[16] != 0, record[17:18])

    def __bytes__(self) -> bytes:
        return stamp.pack(self.since) + self.pid.to_bytes(4, "little") + bytes([self.paused]) + self.want


def open_writer(fifo: bytes) -> int | None:
    """A descriptor that writes to *fifo*, one of OK and CONTROL, or None: no supervise reads it.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def scanned() -> bytes | None:
    """The folder that svscan watches: what `SVDIR` says; else `service` in `QMAILHOME`; else one of the usual places.

    Returns:
        None: there is no such folder. What `SVDIR` says is not looked at.
    """
    named = os.environb.get(b"SVDIR")
    if named:
        return named
    home = os.environb.get(b"QMAILHOME")
    places = (home + b"/service",) if home else USUAL
    return next((place for place in places if os.path.isdir(place)), None)


def is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Whether *entry* is a folder, as far as can be known: what svscan cannot look at, it does not start."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def services(folder: bytes) -> list[bytes]:
    """The services that svscan would start in *folder*, by name: NAME, and NAME/log behind it if there is one.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as entries:
        names = sorted(each.name for each in entries if not each.name.startswith(b".") and is_folder(each))
    found = []
    for name in names:
        found.append(name)
        if os.path.exists(b"%s/%s/log" % (folder, name)):
            found.append(name + b"/log")
    return found
