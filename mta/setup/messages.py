"""Look at the messages of a queue: is each in a legal state, with the right owners and modes?

Mail that arrives meanwhile is no finding: a message that is gone or complete a moment later is passed by.
"""

from __future__ import annotations

import os

from mta.home import path
from mta.queue.layout import NAMES, folders, mess, state_of
from mta.setup.plan import FILE, Piece
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = (b"mess", b"intd", b"todo", b"info", b"local", b"remote", b"bounce")
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


def known_messages() -> list[int]:
    """Every number that some file of the queue bears."""
    names = {name for kind in KINDS for folder in folders(kind) for name in os.listdir(folder)}
    return sorted(int(name) for name in names if name.isdigit())


def strangers() -> Iterator[bytes]:
    """A line for each file in the queue where no message of its name belongs; drafts begin with a dot.

    We stand in the queue folder.
    """
    for kind, name in zip(KINDS, NAMES, strict=True):
        for folder in folders(kind):
            for entry in os.listdir(folder):
                file = folder + b"/" + entry
                if not entry.startswith(b".") and not (entry.isdigit() and name(int(entry)) == file):
                    yield path(b"queue", file) + b": belongs to no message"


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
