"""A message's files as qmail-send keeps them: the sender's record, and the recipients of each channel.

    info/S/N      `F` sender NUL; the file's time of change is the message's birth
    local/S/N     `T` address NUL for a recipient still waiting, `D` address NUL for one that is done
    remote/S/N    the same

A recipient is known by the offset of its record.  It is marked done by overwriting that one
byte, which needs no second file and cannot be torn.
"""

from __future__ import annotations

import os

from mta.queue import layout
from supervise.fd import chunks
from supervise.files import slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOCAL_REMOTE = (layout.local, layout.remote)  # by channel


class Damaged(Exception):
    """A file of the queue does not have the form it should."""


def records(fd: int) -> Iterator[bytes]:
    """The records of *fd* without the NUL at their ends; one that lacks it is not there."""
    rest = b""
    for data in chunks(fd):
        *whole, rest = (rest + data).split(b"\0")
        yield from whole


def read_info(number: int) -> tuple[bytes, int]:
    """The sender and the birth of message *number*.

    Raises:
        OSError: the file cannot be read.
        Damaged: it holds no sender.
    """
    name = layout.info(number)
    birth = int(os.stat(name).st_mtime)
    record, end, _ = (slurp(name) or b"").partition(b"\0")
    if not end or not record.startswith(b"F"):
        raise Damaged
    return record[1:], birth


def waiting(fd: int) -> Iterator[tuple[int, bytes]]:
    """The recipients in the file *fd* that are not done: (offset of the record, address).

    It reads as it goes, so a hundred thousand recipients need no more memory than ten.

    Raises:
        OSError: the file cannot be read.
        Damaged: a record is neither T nor D.
    """
    offset = 0
    for record in records(fd):
        letter = record[:1]
        if letter == b"T":
            yield offset, record[1:]
        elif letter != b"D":
            raise Damaged
        offset += len(record) + 1


def mark(name: bytes, offsets: Iterable[int]) -> None:
    """Mark the recipients at *offsets* of the file *name* as done.

    Raises:
        OSError: it cannot be done; they will be delivered to again.
    """
    fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for offset in offsets:
            os.pwrite(fd, b"D", offset)
    finally:
        os.close(fd)


def exists(name: bytes) -> bool:
    """Whether there is a file *name*.

    Raises:
        OSError: the system cannot tell.
    """
    try:
        os.stat(name)
    except FileNotFoundError:
        return False
    return True


def drop(name: bytes) -> None:
    """Remove *name*; if it is not there, so much the better."""
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
