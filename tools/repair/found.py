"""What files a queue has, wherever they lie: in the wrong part, under a wrong number, or half way to another one.

A queue whose folders were split into another number of parts, `todo` and `intd` too, has all its files in wrong
places.  So a file belongs to the message whose number is its name, in whatever part of the folder of its kind it lies.
A message that is on its way to another number lies in the folder `moving`: `tools.repair.renumber` tells how.

Everybody here stands in the queue folder.  No link is followed: it is a stranger.
"""

from __future__ import annotations

import os
import stat
from collections import Counter

from mta.queue import layout
from mta.queue.layout import MOVING
from mta.setup.adopt import held
from mta.setup.messages import intruders, needless, scattered
from mta.setup.oldqueue import KINDS, number_of
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = dict(zip(KINDS, layout.NAMES, strict=True))
ANNOUNCING = (b"todo", b"info", b"mess")  # the first of these that a message has makes it what it is


class Message:
    """The files of a message.

    Attributes:
        number: what it is called now.
        inode: the inode of its text; 0 without one.
        files: kind -> file.
        announcing: the kind that makes it a message: qmail-send knows nothing of it while this one is away.
        left: names that it has beside those in *files*: a kill left them.
    """

    def __init__(self, number: int, announcing: bytes = b"") -> None:
        self.number, self.inode = number, 0
        self.files: dict[bytes, bytes] = {}
        self.left: list[tuple[bytes, bytes]] = []
        self._announcing = announcing

    @property
    def announcing(self) -> bytes:
        return self._announcing or next((kind for kind in ANNOUNCING if kind in self.files), b"")

    @property
    def moving(self) -> bool:
        """Whether it lies in the folder of those that are on their way."""
        return bool(self._announcing)

    @property
    def misplaced(self) -> bool:
        """Whether one of its files is not where it should be."""
        return any(file != PLACES[kind](self.inode) for kind, file in self.files.items())


class Found:
    """The files of the queue that we stand in.

    Attributes:
        messages: those that are not on their way, by number.
        moving: those that are.
        doubled: numbers with two files of a kind, and a line for each.
        names: inode -> how many names it has here.
        barred: numbers that something has for a name that is no file.
        parts: the folders that should not be there, with what is in each.
        strangers: what belongs to no message.
    """

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.moving: list[Message] = []
        self.doubled: dict[int, bytes] = {}
        self.names: Counter[int] = Counter()
        self.barred: set[int] = set()
        self.parts: dict[bytes, set[bytes]] = {}
        self.strangers: list[bytes] = []
        for message in on_their_way():
            if message.files.keys() >= {b"mess", message.announcing}:
                self.moving.append(message)
            elif message.announcing in message.files:
                self.strangers.append(os.path.dirname(message.files[message.announcing]))
        inodes = {os.lstat(file).st_ino: (one, kind) for one in self.moving for kind, file in one.files.items()}
        self.names.update(os.lstat(file).st_ino for one in on_their_way() for file in one.files.values())
        for kind in KINDS:
            for folder, inside in scattered(kind).items():
                if needless(folder, kind):
                    self.parts[folder] = {*inside}
                for file in inside:
                    self.add(kind, file, inodes)
        self.strangers += intruders()

    def add(self, kind: bytes, file: bytes, inodes: dict[int, tuple[Message, bytes]]) -> None:
        """Put *file* where it belongs; *inodes* are those of messages on their way."""
        name = os.path.basename(file)
        number = number_of(name)
        try:
            about = os.lstat(file)
        except FileNotFoundError:  # a submitter has made up its mind
            return
        if number is None or not stat.S_ISREG(about.st_mode):
            if not name.startswith(b"."):
                self.strangers.append(file)
            if number is not None:
                self.barred.add(number)
            return
        self.names[about.st_ino] += 1
        mover, same = inodes.get(about.st_ino, (None, b""))
        if mover and same == kind:
            mover.left.append((kind, file))
            return
        message = self.messages.setdefault(number, Message(number))
        if kind in message.files:
            self.doubled[number] = b"message %d has two files: %s and %s" % (number, message.files[kind], file)
        message.files[kind] = file
        if kind == b"mess":
            message.inode = about.st_ino


def on_their_way() -> Iterator[Message]:
    """What lies in MOVING: whole messages, and what a kill left of others.

    Raises:
        Temporary: it is somebody else's.
    """
    try:
        about = os.lstat(MOVING)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise Temporary(os.path.abspath(MOVING) + b" is not ours")
    with held(MOVING) as folder:
        keys = sorted(os.listdir(folder))
    for key in keys:
        digits, _, kind = key.partition(b".")
        number = number_of(digits)
        if number is None or kind not in ANNOUNCING:
            continue
        message = Message(number, kind)
        for name in os.listdir(MOVING + b"/" + key):
            if name in KINDS:
                message.files[name] = b"%s/%s/%s" % (MOVING, key, name)
        if b"mess" in message.files:
            message.inode = os.lstat(message.files[b"mess"]).st_ino
        yield message


def illegal(message: Message) -> bytes:
    """What is wrong with the state of *message*; nothing when it is a legal one."""
    try:
        layout.state_with(message.number, [kind in message.files for kind in KINDS])
    except Temporary as trouble:
        return trouble.line
    return b""
