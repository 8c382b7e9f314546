"""What has been read and is not in the logs yet, kept where kill -9 does not reach it.

The input goes from the pipe straight into the file `inbox` of the first log directory, and
from there into the logs.  What always holds:

    1. A byte of the input is in the pipe, or in the text of the inbox, or done with.  Text
       is done with when the record says so.
    2. What is made of the text that is not done with is the same when it is made again: the
       record has the labels that its lines get, before the first of them is written.
    3. What `current` has beyond its length in the record is made of that text.  It becomes an old
       log only while the record has its whole length, and the next record, which counts what has
       been made of the text by then, is written before any log is removed.

So after a kill the same is made again, and what is there already is passed over; `left` does that.

The file:

    0       a record \\ written in turn; of those whose checksum is right, the one
    65536   a record / with the higher number counts
    131072  text, to the end of the file

A record is a line of words: its checksum, the format, a number; what identifies the time since
the machine was started, the actions, and the pipe; where the text that is not done with starts,
and up to where labels are known; the label of the line that it starts with, if that has one, and
that of the other lines; whether it starts within a line; and a `Place` for each directory.

When the text gets long, what is left of it is copied to the front, the file is cut after that,
and a record says so.  A text that starts beyond the end of the file has been cut, and starts at
the front.
"""

from __future__ import annotations

import errno
import os
import stat
from binascii import crc32

from supervise.errors import reason
from supervise.log.left import FORMAT, SLOT, TEXT, UNKNOWN, boot
from supervise.log.patience import insist, pause
from supervise.log.pipe import LARGE, Pipe
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.log.left import Left
    from supervise.log.logdir import LogDir
    from supervise.log.logger import Logger

LONG = 4  # pipes full of text are long
MOST = 1000  # directories of which a record has room for
NO_SPLICE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class Inbox:
    """The input of a logger, by way of an inbox; without one when it is no pipe or there is no directory.

    What a multilog that was killed has left is taken first.

    Args:
        logger: what takes the input.
    """

    def __init__(self, logger: Logger) -> None:
        self.logger, self.logs = logger, logger.logs
        self.pipe = Pipe()
        self.fd = -1
        self.number = 0
        self.start = self.end = TEXT  # what is between them is not done with
        self.first, self.stamp = b"", label()  # the labels of the line there and of the others
        self.takers: list[LogDir] | None = None  # where the rest of it belongs, if it starts within a line
        self.source = pipe_number()  # where the text is from
        self.used = bool(self.source) and 0 < len(self.logs) <= MOST
        self.identity = boot() + b" " + logger.script.identity
        for log in self.logs:
            log.note = self.note
        if logger.script.left:
            self.take_left(logger.script.left)
        if not self.used:
            self.remove()

    def take_left(self, left: Left) -> None:
        """Take what is left in the inbox; the labels of its first part are known."""
        self.fd = self.open(os.O_RDWR)
        source, self.source = self.source, left.pipe if left.same_boot else 0
        self.number, self.start, self.first = left.number, left.start, left.first
        self.takers = left.takers(self.logs)
        self.logger.go_on(self.first, self.takers)
        self.end, self.stamp = left.start + left.taken, left.stamp
        self.note()  # a directory that was not known does not become so again
        self.take(left.text[: left.taken], left.stamp)
        self.end = left.start + len(left.text)
        self.take(left.text[left.taken :], label())
        for log in self.logs:
            log.up_to_date()
        if self.source != source:
            self.logger.complete()  # nobody else will
            self.source = source
            self.done(self.end)

    def read(self, most: int = LARGE) -> bytes:
        """What can be read now, at most *most* bytes; nothing at the end of input.

        Raises:
            OSError: it cannot be read.
        """
        if self.used and self.fd < 0:
            self.create()
        if self.end - TEXT >= LONG * self.pipe.size:
            self.shorten()
        try:
            size = self.splice(min(self.pipe.size, most)) if self.used else 0
        except OSError as error:
            if error.errno not in NO_SPLICE:
                raise
            self.used = False  # this file system cannot do it
            self.remove()
        if not self.used:
            return self.pipe.read(most)
        text = insist(b"read " + self.path, os.pread, self.fd, size, self.end)
        self.end += size
        self.pipe.came(size)
        return text

    def splice(self, size: int) -> int:
        """Move at most *size* bytes from the pipe to the end of the text; how many were there."""
        while True:
            try:
                return os.splice(0, self.fd, size, offset_dst=self.end)
            except OSError as error:
                if error.errno in (errno.EAGAIN, *NO_SPLICE):
                    raise
                pause(b"unable to write to %b, pausing: %b" % (self.path, reason(error)))

    def take(self, text: bytes, stamp: bytes) -> None:
        """Have *text*, which was read last, logged with the label *stamp*."""
        self.stamp = stamp
        if self.logger.stamping:
            self.note()
        begin = self.end - len(text)
        for size in self.logger.take(text, stamp):
            if size == len(text) or any(log.full for log in self.logs):
                self.done(begin + size)

    def done(self, upto: int) -> None:
        """The text up to there is done with, except a line that is not complete."""
        self.start = upto - self.logger.waiting
        self.first, self.takers = self.logger.begun[:SIZE] if self.logger.stamping else b"", self.logger.followers
        for log in self.logs:
            log.done = 0
        self.note()
        for log in self.logs:
            log.put_full_away()

    def finish(self) -> None:
        """The input is at its end: complete the last line, end all logs cleanly, and be gone."""
        self.logger.complete()
        self.done(self.end)
        self.logger.end()
        self.remove()

    def note(self) -> None:
        """Write down how far the text is done with, and where the directories stand."""
        if self.fd < 0:
            return
        self.number += 1
        span = b"%d %d %b %b" % (self.start, self.end, self.first or UNKNOWN, self.stamp)
        takers = self.takers or []
        places = b" ".join([log.place(log in takers) for log in self.logs])
        identity = b"%b %d" % (self.identity, self.source)
        words = b"%b %d %b %b %d %b" % (FORMAT, self.number, identity, span, self.takers is not None, places)
        self.write(b"%08x %b\n" % (crc32(words), words), SLOT * (self.number % 2))

    def shorten(self) -> None:
        """Begin the text anew, with what is not done with."""
        rest = insist(b"read " + self.path, os.pread, self.fd, self.end - self.start, self.start)
        self.write(rest, TEXT)
        self.start, self.end = TEXT, TEXT + len(rest)
        insist(b"cut " + self.path, os.ftruncate, self.fd, self.end)
        self.note()

    def write(self, data: bytes, at: int) -> None:
        while data:
            written = insist(b"write to " + self.path, os.pwrite, self.fd, data, at)
            data, at = data[written:], at + written

    def create(self) -> None:
        """Make the file, or do without when somebody has removed the folder."""
        if self.logs[0].folder.is_gone:
            self.used = False
            return
        self.fd = self.open(os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.note()
        self.note()  # there is room for both now, even when the disk is full later

    def open(self, flags: int) -> int:
        return insist(b"create " + self.path, self.logs[0].folder.open, b"inbox", flags | os.O_NONBLOCK, 0o600)

    def remove(self) -> None:
        if self.fd >= 0:
            insist(b"remove " + self.path, self.logs[0].folder.remove, b"inbox")
            os.close(self.fd)
            self.fd = -1

    @property
    def path(self) -> bytes:
        return self.logs[0].name + b"/inbox"


def pipe_number() -> int:
    """What identifies the pipe that is descriptor 0; 0 when it is none."""
    try:
        status = os.fstat(0)
    except OSError:
        return 0
    return status.st_ino if stat.S_ISFIFO(status.st_mode) else 0
