"""Messages get the numbers that their texts have, and no kill loses or doubles one.

Numbers may go in a circle: 5 becomes 9 and 9 becomes 5.  So all messages that move leave the queue before any comes
back.  Message 457, which qmail-send knows by its info (or todo, or, not accepted yet, by nothing), goes these steps;
each is done for all messages before the next begins:

    1. moving/457.info/ gets second names of all its files but info: nothing has changed for qmail-send
    2. info/S/457 is renamed to moving/457.info/info: in this moment the message leaves the queue, whole
    3. its other names in the queue go
    4. its files get names under the new number, all but info: still nothing that qmail-send knows
    5. moving/457.info/info is renamed to info/S/N: in this moment it is back, whole
    6. moving/457.info goes

A folder in `moving` with the file that its name tells is a message on its way, and another run goes on at 3.  One
without that file is nothing: step 2 has not come, or step 5 has, and the message is in the queue.  A qmail-send that
starts in between delivers the messages that are in the queue and does not see the others.  At worst it removes
(36 hours after) a name of step 3 or 4, and the text has another one.

A message in todo may have an info, local, remote or bounce besides, which are void: qmail-send would begin by dropping
them, and so does step 1.

`moving` is root's, or the plain user's whose queue it is, and held by a descriptor.  So is each folder of the queue
while we use it: no link can lead us elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter

from mta.queue.layout import MOVING
from mta.setup.adopt import held, throw_away
from mta.setup.inspect import hold
from supervise import files
from tools.repair.found import PLACES, Found, Message, on_their_way
from tools.repair.qsanity import broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

VOID = (b"local", b"remote", b"bounce", b"info")  # of a message in todo


def candidates(found: Found) -> tuple[list[Message], list[bytes]]:
    """The messages that should move, and a line for each that should and cannot."""
    lines = list(found.doubled.values())
    movers = list(found.moving)
    for number, message in sorted(found.messages.items()):
        if number in found.doubled or b"mess" not in message.files:
            continue
        if number == message.inode and not message.misplaced:
            continue
        void = message.announcing == b"todo" and message.files.keys() & {*VOID}
        if void and (damage := broken(number, b"todo", message.files[b"todo"])):
            lines.append(b"message %d stays: %s" % (number, damage))
        else:
            movers.append(message)
    return movers, lines


def settle(movers: list[Message], found: Found) -> tuple[list[Message], list[bytes]]:
    """Those of *movers* whose new number nobody keeps, and a line for each of the others."""
    leaving = {one.number for one in movers if not one.moving}
    kept = (found.messages.keys() - leaving) | found.barred
    wanted = Counter(one.inode for one in movers)
    taker = {one.inode: at for at, one in enumerate(movers)}  # where two want the same number, both stay at once
    stay = [at for at, one in enumerate(movers) if one.inode in kept or wanted[one.inode] > 1]
    stays: dict[int, None] = {}  # in the order in which they are told of
    while stay:
        stays.update(dict.fromkeys(stay))
        kept_now = {movers[at].number for at in stay if not movers[at].moving}
        blocked = (taker[number] for number in kept_now if number in taker)
        stay = sorted({at for at in blocked if at not in stays})
    lines = [b"message %d stays: %d is taken" % (movers[at].number, movers[at].inode) for at in stays]
    return [one for at, one in enumerate(movers) if at not in stays], lines


class Moving:
    """The folder of messages on their way; use it in a with statement.

    What an earlier run left that is no message goes when the block begins; the folder goes at its end, if it is empty.

    Raises:
        Temporary: the folder is somebody else's.
    """

    def __enter__(self) -> Moving:
        if not os.path.lexists(MOVING):
            os.mkdir(MOVING, 0o700)
        self.folder = held(MOVING)
        self.path = self.folder.__enter__()
        for message in on_their_way():  # refuses one that is not ours
            if message.announcing not in message.files:
                throw_away(self.key(message))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.folder.__exit__(kind, error, trace)
        if error is None and not os.listdir(MOVING):
            os.rmdir(MOVING)

    def key(self, message: Message) -> bytes:
        """Where *message* lies while it is on its way."""
        return b"%s/%d.%s" % (self.path, message.number, message.announcing)

    def move(self, messages: list[Message]) -> None:
        """Give *messages* their numbers."""
        fresh = [message for message in messages if not message.moving]
        for message in fresh:
            self.gather(message)
        os.sync()
        for message in fresh:
            rename(message.files[message.announcing], self.key(message) + b"/" + message.announcing, out=True)
        os.sync()
        for message in messages:
            self.clear(message)
        os.sync()
        for message in messages:
            self.place(message)
        os.sync()
        for message in messages:
            there = PLACES[message.announcing](message.inode)
            rename(self.key(message) + b"/" + message.announcing, there, out=False)
        os.sync()
        for message in messages:
            throw_away(self.key(message))

    def gather(self, message: Message) -> None:
        """Step 1."""
        key = self.key(message)
        os.mkdir(key, 0o700)
        for kind, file in message.files.items():
            with held(os.path.dirname(file)) as parent:
                name = parent + b"/" + os.path.basename(file)
                if message.announcing == b"todo" and kind in VOID:
                    os.unlink(name)
                elif kind != message.announcing:
                    files.link(name, key + b"/" + kind, sync=False)

    def clear(self, message: Message) -> None:
        """Step 3; a name that means another file by now is somebody else's."""
        key = self.key(message)
        names = message.left if message.moving else list(message.files.items())
        void = VOID if message.announcing == b"todo" and not message.moving else ()  # gone since step 1
        for kind, file in names:
            if kind in void:
                continue
            with held(os.path.dirname(file)) as parent:
                name = parent + b"/" + os.path.basename(file)
                try:
                    about = os.lstat(name)
                except FileNotFoundError:
                    continue
                if os.path.samestat(about, os.lstat(key + b"/" + kind)):
                    os.unlink(name)

    def place(self, message: Message) -> None:
        """Step 4."""
        key = self.key(message)
        for kind in os.listdir(key):
            if kind == message.announcing:
                continue
            file = PLACES[kind](message.inode)
            with held(os.path.dirname(file)) as parent:
                files.link(key + b"/" + kind, parent + b"/" + os.path.basename(file), sync=False)


def rename(old: bytes, new: bytes, *, out: bool) -> None:
    """Steps 2 and 5: rename a file of the queue to *new* in MOVING (*out*), or one there to *new* in the queue.

    Raises:
        FileExistsError: there is a *new* already.
    """
    inside = old if out else new
    with held(os.path.dirname(inside)) as parent:
        name = parent + b"/" + os.path.basename(inside)
        source, target = (name, new) if out else (old, name)
        if os.path.lexists(target):
            raise FileExistsError(f"{os.fsdecode(inside)} is there already")
        files.rename(source, target, sync=False)


def remove_part(folder: bytes) -> None:
    """Remove a part that is empty by now; one that is not stays."""
    with held(os.path.dirname(folder)) as parent:
        name = parent + b"/" + os.path.basename(folder)
        os.close(hold(name))
        if not os.listdir(name):
            os.rmdir(name)
