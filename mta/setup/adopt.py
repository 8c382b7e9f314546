"""Messages of an old queue become ours, each of them once, whatever kills us in between.

Message 457 of the old queue, whose text was written at MOMENT (nanoseconds since 1970), gets its number in our queue as
any message does, from the inode of its text, and goes through these names below our queue:

    taken/.457.MOMENT/mess, info, ...    being copied; thrown away when we begin again
    taken/457.MOMENT/mess, info, ...     all of it, and on disk: it is ours now
    mess/S/N, local/S/N, ...             each of the files goes to its place, the last one is info or todo
    taken/457.MOMENT/                    empty: it was taken over, whatever has become of it since

qmail-send sees a message when its info or todo is in its place.  The rename that puts it there also takes it away from
`taken`, so one who goes on after a crash knows for each message whether qmail-send may have had it.  Names reach the
disk in the order in which they are given, so only the second of these steps is synced each time, and the folders once
at the end.  The empty folders stay, so that the same command may be run again, for what has come into the old queue
since then.

`taken` is root's, or the plain user's whose queue it is.  The folders that messages go to belong to others, so each is
held by a descriptor while we use it: no link can lead us elsewhere.
"""

from __future__ import annotations

import os

from mta.queue import layout
from mta.setup.inspect import hold, name_of
from mta.setup.messages import message_file
from mta.setup.oldqueue import OldMessage
from supervise import files
from supervise.errors import Temporary
from supervise.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
PLACES = {  # the announcing ones last
    b"local": layout.local,
    b"remote": layout.remote,
    b"bounce": layout.bounce,
    b"info": layout.info,
    b"todo": layout.todo,
}
BUSY = b"busy."  # begins the names of files whose inodes are the numbers of others


class held:
    """A folder, by a name that leads to it and nowhere else for the block; *name* has no links in it."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.fds: list[int] = []

    def __enter__(self) -> bytes:
        place = b"."
        for part in self.name.split(b"/"):
            self.fds.append(hold(place + b"/" + part))
            place = name_of(self.fds[-1])
        return place

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self.fds:
            os.close(fd)


class Taken:
    """The folder `taken` of the queue that we stand in; use it in a with statement.

    When the block begins, what a crash has left is put in order: whole messages go to their places, others are
    thrown away.

    Raises:
        Temporary: the folder is somebody else's.
    """

    def __enter__(self) -> Taken:
        if not os.path.lexists(layout.TAKEN):
            os.mkdir(layout.TAKEN, 0o700)
        self.folder = held(layout.TAKEN)
        self.path = self.folder.__enter__()
        if os.stat(self.path).st_uid != os.geteuid():
            raise Temporary(os.path.abspath(layout.TAKEN) + b" is not ours")
        self.filled: set[bytes] = set()  # folders of the queue that have got files
        self.keys = set(os.listdir(self.path))
        for key in sorted(self.keys):
            if key.startswith(b"."):
                throw_away(self.path + b"/" + key)
                self.keys.remove(key)
            else:
                self.filled |= place(self.path + b"/" + key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for folder in self.filled:
            files.sync_folder(folder)
        self.folder.__exit__(kind, error, trace)

    def done(self, key: bytes) -> None:
        """Note that what is called *key* is taken over."""
        os.mkdir(self.path + b"/" + key, 0o700)
        files.sync_folder(self.path)
        self.keys.add(key)

    def adopt(self, message: OldMessage) -> bool:
        """Make *message* ours; False when it has been taken before.

        Raises:
            Broken: it cannot be taken over; nothing of it is here then.
            OSError: there is no room for it, or the like.
        """
        kinds, key = message.kinds(), message.key()
        if key in self.keys:
            return False
        draft = self.path + b"/." + key
        os.mkdir(draft, 0o700)
        try:
            for kind in kinds:
                copy(message, kind, draft)
        except Exception:
            throw_away(draft)
            raise
        files.sync_folder(draft)
        files.rename(draft, self.path + b"/" + key)
        self.keys.add(key)
        self.filled |= place(self.path + b"/" + key)
        return True


def copy(message: OldMessage, kind: bytes, draft: bytes) -> None:
    """Copy one file of *message* into the folder *draft*, with its times and the owner that it has in our queue."""
    source = message.open(kind)
    target = -1
    try:
        name = draft + b"/" + kind
        target = numbered(draft) if kind == b"mess" else os.open(name, NEW, 0o600)
        for data in message.content(kind, source):
            write_all(target, data)
        about, piece = os.fstat(source), message_file(kind, name)
        os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
        os.fchown(target, piece.uid(), piece.gid())
        os.fchmod(target, piece.mode)
        os.fsync(target)
    finally:
        os.close(source)
        if target >= 0:
            os.close(target)


def numbered(draft: bytes) -> int:
    """A new file `mess` in *draft* whose inode is the number of nothing in our queue."""
    name = draft + b"/mess"
    busy = []
    while True:
        fd = os.open(name, NEW, 0o600)
        number = os.fstat(fd).st_ino
        if not any(os.path.lexists(file(number)) for file in layout.NAMES):
            break
        os.close(fd)
        busy.append(b"%s/%s%d" % (draft, BUSY, number))  # it is kept for now, so that its inode is
        files.rename(name, busy[-1], sync=False)
    for other in busy:
        os.unlink(other)
    return fd


def place(folder: bytes) -> set[bytes]:
    """Put the message in *folder*, which is whole, to its place; the folders that got a file.

    An empty folder's message has been there before.
    """
    there = os.listdir(folder)
    if b"mess" not in there:
        return set()
    number = os.lstat(folder + b"/mess").st_ino
    places = [(kind, file(number)) for kind, file in PLACES.items() if kind in there]
    filled = set()
    if b"info" in there or b"todo" in there:  # else qmail-send may have had it, and be done
        for kind, name in ((b"mess", layout.mess(number)), *places):
            filled.add(os.path.dirname(name))
            with held(os.path.dirname(name)) as parent:
                if kind != b"mess":
                    files.rename(folder + b"/" + kind, b"%s/%d" % (parent, number), sync=False)
                elif not os.path.lexists(name):
                    files.link(folder + b"/mess", b"%s/%d" % (parent, number), sync=False)
    os.unlink(folder + b"/mess")
    return filled


def throw_away(draft: bytes) -> None:
    """Remove the folder *draft* and the files in it."""
    for name in os.listdir(draft):
        os.unlink(draft + b"/" + name)
    os.rmdir(draft)
