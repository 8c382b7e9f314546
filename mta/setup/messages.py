"""Look at the messages of a queue: is each in a legal state, with the right owners and modes?

Mail that arrives meanwhile is no finding: a message that is gone or complete a moment later is passed by.
"""

from __future__ import annotations

import os

from mta.home import path
from mta.queue.layout import MOVING, NAMES, TAKEN, folders, mess, places, state_of
from mta.setup.oldqueue import KINDS, number_of, parted
from mta.setup.plan import FILE, Piece
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OWNERS = {b"mess": b"qmailq", b"intd": b"qmailq", b"todo": b"qmailq"}  # the others are qmails's


def message_file(kind: bytes, path: bytes) -> Piece:
    """The file of *kind* of a message, under the name *path*."""
    owner = OWNERS.get(kind, b"qmails")
    return Piece(path, FILE, owner, b"qmail", 0o644 if kind in OWNERS else 0o600)


def message_pieces(number: int) -> list[Piece]:
    """The files of message *number* that are there now."""
    pieces = []
    for kind, name in zip(KINDS, NAMES, strict=True):
        piece = message_file(kind, b"queue/" + name(number))
        if os.path.lexists(path(piece.path)):
            pieces.append(piece)
    return pieces


def scattered(kind: bytes) -> dict[bytes, list[bytes]]:
    """What lies in the folder of *kind* and in its parts, into whatever number of them it was split.

    No link is followed: it is a file.  We stand in the queue folder.

    Returns:
        Each of these folders, and the paths of what is in it but for parts; none when the folder is not there.
    """
    try:
        parts, others = parted(kind)
    except FileNotFoundError:
        return {}
    linked = {part for part in parts if os.path.islink(b"%s/%d" % (kind, part))}
    found = {folder: os.listdir(folder) for folder in (b"%s/%d" % (kind, part) for part in sorted(parts - linked))}
    found[kind] = others + [b"%d" % part for part in linked]
    return {folder: [folder + b"/" + name for name in sorted(names)] for folder, names in found.items()}


def needless(folder: bytes, kind: bytes) -> bool:
    """Whether *folder*, where files of *kind* lie, should not be there."""
    return folder not in (kind, *folders(kind))


def known_messages() -> list[int]:
    """Every number that some file of the queue bears, where messages are looked for; we stand in the queue folder."""
    found = (files for kind in KINDS for folder, files in scattered(kind).items() if not needless(folder, kind))
    names = {os.path.basename(file) for files in found for file in files}
    return sorted(int(name) for name in names if name.isdigit())


def intruders() -> Iterator[bytes]:
    """What lies in the queue folder, in which we stand, or in its `lock`, and is no part of a queue."""
    known = {place.path.partition(b"/")[2] for place in places()} | {MOVING, TAKEN, b"lost+found"}
    for folder in (b"", b"lock/"):
        if os.path.isdir(folder or b"."):
            names = [folder + name for name in sorted(os.listdir(folder or b".")) if not name.startswith(b".")]
            yield from (name for name in names if name not in known)


def strangers() -> Iterator[bytes]:
    """A line for each file in the queue that is where no message and no program looks; drafts begin with a dot.

    We stand in the queue folder.
    """
    for kind, name in zip(KINDS, NAMES, strict=True):
        for folder, files in scattered(kind).items():
            if not files and needless(folder, kind):
                yield path(b"queue", folder) + b": an empty part too many"
            for file in files:
                entry = os.path.basename(file)
                number = number_of(entry)
                if not entry.startswith(b".") and (number is None or name(number) != file):
                    yield path(b"queue", file) + b": belongs to no message"
    for file in intruders():
        yield path(b"queue", file) + b": belongs to no message"
    if os.path.isdir(MOVING) and os.listdir(MOVING):
        yield path(b"queue", MOVING) + b": messages on their way; run queue-fix again if it does not run"


def illegal_messages() -> Iterator[bytes]:
    """A line for each message in no legal state, and for each whose number is not its inode.

    We stand in the queue folder.
    """
    for number in known_messages():
        try:
            state_of(number)
        except Temporary:
            try:  # it may have moved on between two looks
                state_of(number)
            except Temporary as trouble:
                yield trouble.line
        try:
            inode = os.lstat(mess(number)).st_ino
        except FileNotFoundError:
            continue
        if inode != number:
            yield b"message %d: its mess file has inode %d" % (number, inode)
