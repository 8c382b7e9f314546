"""How a service is, told to everybody: the files `state` and `status` of its folder `supervise`.

What cannot be written, as on a disk without room, is to be written again: nobody else would do that before the next
change, which may be months away.
"""

from __future__ import annotations

import errno
import os
import time

from supervise import stamp
from supervise.command import say
from supervise.errors import reason
from supervise.files import overwrite, publish
from supervise.tree import servicedir, state
from supervise.tree.state import FINISHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.tree.folder import Folder
    from supervise.tree.service import Service

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
PAUSE = 1.0  # seconds until it is tried again


class Announcement:
    """The two files of the service that we stand in.

    `again` is when they should be written again, on the clock that never goes back; None: they are as they should be.

    Args:
        name: what the service is called in messages.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.again: float | None = None

    def make(self, content: bytes, record: bytes) -> bool:
        """Write *content* to `state`, then *record* to `status`; whether the first could be done."""
        known = self.write(servicedir.STATE, servicedir.STATE_DRAFT, content)
        told = self.write(servicedir.STATUS, servicedir.DRAFT, record)
        self.again = None if known and told else time.monotonic() + PAUSE
        return known

    def write(self, name: bytes, draft: bytes, content: bytes) -> bool:
        """Make *content* the file *name*, on a full disk in the room that it has already; whether it could be done."""
        try:
            publish(name, draft, content)
        except OSError as error:
            if error.errno in NO_ROOM and overwrite(name, content):
                return True
            if error.filename2:
                what = b"rename %s/%s to %s" % (self.name, draft, os.path.basename(name))
            else:
                what = b"%s %s/%s" % (b"open" if error.filename else b"write", self.name, draft)
            if self.again is None:  # else it has been said
                say(b"supervise: warning: unable to %s: %s" % (what, reason(error)))
            return False
        return True


def describe(folder: Folder, service: Service) -> bytes:
    """The content of `supervise/state` for the *service* in *folder*."""
    status = service.status
    lines = {
        b"state": service.phase,
        b"pid": b"%d" % status.pid,
        b"since": stamp.label(status.since),
        b"want": state.WANTED[status.want],
        b"starts": b"%d" % service.starts,
    }
    if service.phase == FINISHING:
        lines[b"finish"] = b"%d" % service.finisher
    if folder.identity:
        lines[b"process"] = folder.identity
    if status.paused:
        lines[b"paused"] = b"yes"
    if service.leaving:
        lines[b"leaving"] = service.leaving
    if status.pid and folder.notification_fd is not None:
        lines[b"notification"] = b"%d" % folder.notification_fd
    if service.ready is not None:
        lines[b"ready"] = stamp.label(service.ready)
    if service.ended is not None:
        lines[b"ended"] = b"%d %d" % service.ended
    if service.short_lives:
        lines[b"short"] = b"%d" % service.short_lives
    if service.next_start is not None:
        lines[b"next"] = stamp.label(service.next_start)
    if folder.tree and folder.tree.folder:
        lines[b"tree"] = folder.tree.folder
    if folder.tree and (orphans := folder.tree.describe()):
        lines[b"orphans"] = orphans
    if not service.left and folder.around.watcher:
        lines[b"watched"] = folder.around.watcher
    return bytes(state.State(lines))
