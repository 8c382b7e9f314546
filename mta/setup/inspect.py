"""Compare a home with its plan, and mend what differs.

A finding is one line that names the piece and what is wrong with it.  Mending never removes what may hold mail or
somebody's words: that is moved aside by a person, not by us.  Nor does it make up a text: who knows it writes it.

Root mends in folders that belong to others.  So what is mended is held by a descriptor: it is the very thing that was
looked at, and no link that somebody has put in its place meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import stat

from mta.home import path
from mta.setup.plan import FIFO, FILE, FOLDER, LINK, Piece
from supervise.errors import Temporary, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {FOLDER: stat.S_ISDIR, FILE: stat.S_ISREG, FIFO: stat.S_ISFIFO, LINK: stat.S_ISLNK}


def findings(piece: Piece, mend: bool = False) -> Iterator[bytes]:
    """What is wrong with *piece*, one line each; with *mend*, it is put right as far as it can be.

    Raises:
        Temporary: it cannot be looked at or mended.
    """
    file = path(piece.path) if piece.path else path()
    try:
        yield from _findings(piece, file, mend)
    except OSError as error:
        raise Temporary(b"unable to look at or change " + file + b": " + reason(error)) from None


def _findings(piece: Piece, file: bytes, mend: bool) -> Iterator[bytes]:
    if detour := link_above(piece.path):
        yield b"%s: not looked at: %s is a link" % (file, detour)
        return
    try:
        held = hold(file)
    except FileNotFoundError:
        yield file + b": missing"
        if not mend or (piece.kind == FILE and piece.size is None):
            return
        make(piece, file)
        held = hold(file)
    try:
        yield from differences(piece, file, held, mend)
    finally:
        os.close(held)


def link_above(piece: bytes) -> bytes | None:
    """The first folder above a piece, within the home, that is a link of somebody else than root or us."""
    parts = piece.split(b"/")
    for depth in range(1, len(parts)):
        folder = path(*parts[:depth])
        if os.path.islink(folder) and os.lstat(folder).st_uid not in (0, os.geteuid()):
            return folder
    return None


def hold(file: bytes) -> int:
    """A descriptor that stands for *file* itself, be it a link or whatever."""
    return os.open(file, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)


def claim(file: bytes) -> int:
    """A descriptor that has the lock of *file*, which is there and is no link.

    Raises:
        BlockingIOError: somebody else has it.
        OSError: it cannot be opened.
    """
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def name_of(held: int) -> bytes:
    """A name of what *held* stands for, wherever it is now."""
    return b"/proc/self/fd/%d" % held


def differences(piece: Piece, file: bytes, held: int, mend: bool) -> Iterator[bytes]:
    """What is wrong with *piece*, which *held* stands for and whose name is *file*; with *mend*, it is put right."""
    found = os.fstat(held)
    if not KINDS[piece.kind](found.st_mode):
        yield file + b": damaged: not a " + piece.kind
        if not mend or piece.kind != FIFO or stat.S_ISDIR(found.st_mode):
            return
        os.unlink(file)  # whatever was written there instead was only to wake somebody
        make(piece, file)
        return
    if piece.kind == LINK:
        target = os.readlink(file)
        if target != piece.target:
            yield b"%s: leads to %s, should lead to %s" % (file, target, piece.target)
            if mend:
                os.unlink(file)
                os.symlink(piece.target, file)
        return
    if piece.size is not None and found.st_size != piece.size:
        yield b"%s: damaged: %d bytes, should be %d" % (file, found.st_size, piece.size)
        if mend:
            os.truncate(name_of(held), piece.size)
    if not piece.owner:
        return
    if (found.st_uid, found.st_gid) != (piece.uid(), piece.gid()):
        yield b"%s: owner %d:%d, should be %s:%s (%d:%d)" % (
            *(file, found.st_uid, found.st_gid, piece.owner, piece.group),
            *(piece.uid(), piece.gid()),
        )
        if mend:
            os.chown(name_of(held), piece.uid(), piece.gid())
    mode = stat.S_IMODE(os.fstat(held).st_mode)  # changing the owner may have cleared a bit of it
    if mode != piece.mode:
        if stat.S_IMODE(found.st_mode) != piece.mode:
            yield b"%s: mode %04o, should be %04o" % (file, mode, piece.mode)
        if mend:
            os.chmod(name_of(held), piece.mode)


def make(piece: Piece, file: bytes) -> None:
    """Make what is missing, with the owner, group and mode of *piece*."""
    if piece.kind == FOLDER:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        os.mkdir(file)
    elif piece.kind == FIFO:
        os.mkfifo(file)
    elif piece.kind == LINK:
        os.symlink(piece.target, file)
        return
    else:
        with open(file, "xb") as out:
            out.truncate(piece.size or 0)
    held = hold(file)
    try:
        os.chown(name_of(held), piece.uid(), piece.gid())
        os.chmod(name_of(held), piece.mode)
    finally:
        os.close(held)
