"""What lies in the queue of a message.  Addresses are as the log would have them.

See also: mta.queue.layout, mta.send.schedule
"""

from __future__ import annotations

import errno
import os

from mta import control
from mta.home import enter
from mta.queue import envelope, layout
from mta.send.log import SAFE
from mta.send.message import LOCAL_REMOTE, Damaged, exists, read_info, records
from supervise.errors import Temporary
from supervise.fd import chunks
from supervise.files import slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LIFETIME = 604_800  # seconds that a message is tried for, without control/queuelifetime
HEAD = 4096  # bytes of a message in which its Received lines are looked for
FROM = b"Received: from "


class Waiting:
    """A message in the queue.

    Attributes:
        taken: qmail-send has taken it on.
        sender, birth: as `info` has them; the birth is 0 before that.
        qp, uid: as `todo` has them; None once it is taken on.
        recipients: by channel, those who have not got it; all in the first before it is taken on.
        done: how many have, or never will.
        moments: by channel, when its file was changed: the next try, if qmail-send has been started since; None if
            nobody is left.
        failed: that somebody will not get it is noted, and will be told to the sender.
        origin: where its header says that it came from.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = layout.state_of(number) == layout.ACTIVE
        self.birth = 0
        self.qp: int | None = None
        self.uid: int | None = None
        self.recipients: list[list[bytes]] = [[], []]
        self.done = 0
        self.moments: list[int | None] = [None, None]
        self.failed = exists(layout.bounce(number))
        self.origin = origin(number)
        if self.taken:
            sender, self.birth = read_info(number)
            for channel, file in enumerate(LOCAL_REMOTE):
                self.read(channel, file(number))
        else:
            self.uid, self.qp, sender, recipients = envelope.parse(slurp(layout.todo(number)) or b"")
            self.recipients[0] = [recipient.translate(SAFE) for recipient in recipients]
        self.sender = sender.translate(SAFE)

    def everybody(self) -> list[bytes]:
        """All who have not got it."""
        return [recipient for recipients in self.recipients for recipient in recipients]

    def read(self, channel: int, name: bytes) -> None:
        """Read the recipients of a *channel* from the file *name*."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self.moments[channel] = int(os.fstat(fd).st_mtime)
            for record in records(fd):
                if record.startswith(b"T"):
                    self.recipients[channel].append(record[1:].translate(SAFE))
                else:
                    self.done += 1
        finally:
            os.close(fd)


def origin(number: int) -> bytes:
    """What the topmost Received line with `from` in the header of message *number* says, or nothing."""
    fd = os.open(layout.mess(number), os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = next(chunks(fd), b"")[:HEAD].partition(b"\n\n")[0]
    finally:
        os.close(fd)
    return next((line[len(FROM) :] for line in head.split(b"\n") if line.startswith(FROM)), b"")


class Queue:
    """The queue of the home; we stand in it from now on.

    Raises:
        Temporary: it cannot be entered, or a control file cannot be read.
    """

    def __init__(self) -> None:
        self.lifetime = control.number(b"queuelifetime", LIFETIME)
        enter(b"queue")
        for name in (b"mess", b"todo", b"info", b"local", b"remote", b"bounce"):
            if not os.access(name, os.R_OK | os.X_OK):  # else what is there would look as if it were not
                raise Temporary(b"unable to read queue/" + name, PermissionError(errno.EACCES, ""))

    def look(self, number: int) -> Waiting | None:
        """Message *number*, or None if it is not there, or is just coming or going.

        Raises:
            Temporary: it cannot be read.
        """
        try:
            if layout.state_of(number) in (layout.QUEUED, layout.ACTIVE):
                return Waiting(number)
        except (FileNotFoundError, Temporary):  # one of its files came or went while we looked
            pass
        except OSError as error:
            raise Temporary(b"unable to read message %d in the queue" % number, error) from None
        except (Damaged, ValueError):
            raise Temporary(b"unable to read message %d in the queue: its files are damaged" % number) from None
        return None

    def candidates(self, number: int | None) -> Iterator[int]:
        """The messages that *number*, their own or their qp, may mean; None: all that there are.

        Raises:
            Temporary: the queue cannot be read.
        """
        if number is not None:
            yield number
        for folder in [b"todo"] if number is not None else [b"todo", *layout.folders(b"info")]:
            try:
                names = os.listdir(folder)
            except OSError as error:
                raise Temporary(b"unable to read queue/" + folder, error) from None
            yield from sorted(int(name) for name in names if name.isdigit())
