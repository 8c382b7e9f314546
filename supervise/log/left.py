"""What a multilog that was killed has left in its inbox, and what of it is in its directories already.

A directory is known when `current` is the file that the record names and is no shorter than it
says.  What it is longer by must be what is made of the text that is left; it is compared when that is
made again.  When `current` is another file, the log became an old one after the record was written;
then that has the length in the record, and `current` is empty.

A directory that is not known, or ends with something else than what is made of the text, has seen
another multilog, or a power failure.  It is dealt with as after any crash, and what is left is
put into it as it was read, as `@LABEL.u`.  Nothing that is there is ever cut off.
"""

from __future__ import annotations

import os
from binascii import crc32

from supervise.errors import Temporary
from supervise.files import slurp
from supervise.log.logdir import DEAF
from supervise.stamp import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.log.folder import Folder
    from supervise.log.logdir import LogDir

FORMAT = b"1"
SLOT, TEXT = 1 << 16, 1 << 17  # where in an inbox the second record is, and the text
UNKNOWN = b"-"
GROWS = SIZE + 2  # bytes that are made of one at most: an empty line with a label
NO_RECORD = b"0 - - 0 %d %d - - 0" % (TEXT, TEXT)


class Place:
    """Where a directory stood.

    Args:
        word: what `LogDir.place` gave.
    """

    __slots__ = ("done", "folder", "inode", "length", "takes")

    def __init__(self, word: bytes) -> None:
        self.folder, *numbers = word.split(b":")
        self.inode, self.length, self.done, self.takes = map(int, numbers)


class Left:
    """The inbox in a folder; `inbox` describes it.

    Args:
        folder: the log directory.
        script: what identifies the actions.

    Raises:
        OSError: it cannot be read, or there is none.
    """

    def __init__(self, folder: Folder, script: bytes) -> None:
        fd = folder.open(b"inbox", os.O_RDONLY)
        try:
            size = os.fstat(fd).st_size
            record = newest(os.pread(fd, SLOT, 0), os.pread(fd, SLOT, SLOT))
            number, booted, for_script, pipe, start, end, first, stamp, within, *places = (record or NO_RECORD).split()
            self.start, stamped = (int(start), int(end)) if int(start) <= size else (TEXT, size)
            self.text = os.pread(fd, max(size - self.start, 0), self.start)
        finally:
            os.close(fd)
        self.taken = min(stamped - self.start, len(self.text))  # bytes of the text whose labels are known
        self.first, self.stamp = first.rstrip(UNKNOWN), stamp.rstrip(UNKNOWN)
        self.within = within == b"1"
        self.readable, self.number, self.pipe = bool(record), int(number), int(pipe)
        self.same_boot = booted == boot()
        self.same_script = for_script == script
        self.places = {place.folder: place for place in map(Place, places)}

    def recognise(self, log: LogDir) -> bool | None:
        """Have *log* pass over what it has already of what will be made of the text.

        Returns:
            Whether that is known; None when the record does not speak of this directory.
        """
        place = self.places.get(log.folder.identity)
        if place is None and self.readable:
            return None
        tail = None
        if place and (self.same_script or not place.done):
            tail = self.tail(log.folder, place)
        if place is None or tail is None:
            log.skip = DEAF
            return False
        log.skip, log.tail, log.inside = place.done, tail, bool(place.takes)
        return True

    def tail(self, folder: Folder, place: Place) -> bytes | None:
        """What `current` has that is not in the record; None when it is not known what happened here."""
        current = folder.stat(b"current")
        if current and current.st_ino == place.inode:
            size = current.st_size - place.length
            most = GROWS * len(self.text) if self.same_boot else 0
            return folder.read(b"current", size, place.length) if 0 <= size <= most else None
        if current and current.st_size:
            return None
        for name in folder.names():
            if name.startswith(b"@") or name == b"previous":
                status = folder.stat(name)
                if status and status.st_ino == place.inode:
                    return b"" if status.st_size == place.length else None
        return None

    def takers(self, logs: list[LogDir]) -> list[LogDir] | None:
        """Where the rest of the line belongs that the text starts within; None when it starts with a line."""
        if not self.within:
            return None
        return [log for log in logs if (place := self.places.get(log.folder.identity)) and place.takes]


def newest(*slots: bytes) -> bytes | None:
    """The record that counts, without checksum and format; None when there is none."""
    found = []
    for slot in slots:
        checksum, _, line = slot.partition(b"\n")[0].partition(b" ")
        version, _, record = line.partition(b" ")
        if checksum == b"%08x" % crc32(line) and version == FORMAT:
            found.append(record)
    return max(found, key=lambda record: int(record.split(b" ", 1)[0]), default=None)


def left_in(log: LogDir, script: bytes) -> Left | None:
    """What is left in the inbox of *log*; None when there is none.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        return Left(log.folder, script)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Temporary(b"unable to read %b/inbox" % log.name, error) from None


def boot() -> bytes:
    """What identifies the time since the machine was started, if it says."""
    try:
        return (slurp(b"/proc/sys/kernel/random/boot_id") or UNKNOWN).strip()
    except OSError:
        return UNKNOWN
