"""mbox: one file, one message after another.

    From SENDER DATE          the `From ` line begins a message
    Return-Path: ...          the message; a line of it that begins with `From `, after any
    ...                       number of `>`, has one `>` more in front
                              an empty line ends it

A writer locks the file (flock) and appends, and syncs before it says so.  When something
goes wrong it cuts the file back to where it began.  A writer that is killed leaves the
part that it had written: no byte of the messages before it is touched.
"""

from __future__ import annotations

import fcntl
import os

from mta.mailbox.alarm import within
from supervise.errors import Temporary, reason
from supervise.fd import CHUNK, TimedOut, chunks, write_all
from supervise.files import sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30  # seconds to wait for the lock
NEWLINE, GREATER = b"\n>"


def deliver(mbox: bytes, head: bytes, message: int) -> None:
    """Append a message to the file *mbox*, which is made when it is missing.

    Args:
        head: what stands before the message: the `From ` line and whole header lines.
        message: a descriptor; what it still has is the message.

    Raises:
        Temporary: it could not be done; the file is as it was, or somebody else's writing
            is behind ours because it could not be locked.
    """
    try:
        fd, locked = open_locked(mbox)
    except OSError as error:
        raise Temporary(b"Unable to open %s: %s. (#4.2.1)" % (mbox, reason(error))) from None
    try:
        append(fd, locked, mbox, head, message)
    finally:
        os.close(fd)


def open_locked(mbox: bytes) -> tuple[int, bool]:
    """Open *mbox* for appending, made when it is missing, and wait for its lock.

    While we wait, maildir2mbox may put another file in its place; then that one is opened.

    Returns:
        The descriptor, and whether it holds the lock: not all file systems have one.

    Raises:
        Temporary: somebody has held the lock for too long.
        OSError: *mbox* cannot be opened.
    """
    while True:
        fd = os.open(mbox, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            locked = lock(fd)
            if not locked or still(fd, mbox):
                return fd, locked
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def still(fd: int, mbox: bytes) -> bool:
    """Whether *mbox* is still the file that *fd* is."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(mbox))
    except FileNotFoundError:
        return False


def append(fd: int, locked: bool, mbox: bytes, head: bytes, message: int) -> None:
    """Append to the open *fd* of *mbox*, whole or not at all; that needs the lock."""
    try:
        end = os.lseek(fd, 0, os.SEEK_END)
    except OSError:  # no file but a fifo or a device
        end = -1
    try:
        for data in gathered(head, quoted(message)):
            write_all(fd, data)
        os.fsync(fd)
        if end == 0:
            sync_folder(os.path.dirname(mbox))  # the file may be new
    except BaseException as failure:
        if locked and end >= 0:
            os.ftruncate(fd, end)
        if isinstance(failure, OSError):
            raise Temporary(b"Unable to write %s: %s. (#4.3.0)" % (mbox, reason(failure))) from None
        raise


def lock(fd: int) -> bool:
    """Wait for the lock on *fd*; False when the file system has none.

    Raises:
        Temporary: somebody has held it for too long.
    """
    try:
        with within(PATIENCE):
            fcntl.flock(fd, fcntl.LOCK_EX)
    except TimedOut:
        raise Temporary(b"File has been locked for 30 seconds straight. (#4.3.0)") from None
    except OSError:
        return False
    return True


def quoted(message: int) -> Iterator[bytes]:
    """The rest of *message* as it stands in an mbox, in pieces, with the empty line after it."""
    rest, fresh = b"", True
    source = chunks(message)
    while True:
        try:
            chunk = next(source, b"")
        except OSError as error:
            raise Temporary(b"Unable to read message: %s. (#4.3.0)" % reason(error)) from None
        block = rest + chunk
        if not chunk:
            break
        end = block.rfind(b"\n") + 1 or len(block)  # a line longer than a chunk goes out in pieces
        yield quote(block[:end], fresh)
        fresh = block[end - 1] == NEWLINE
        rest = block[end:]
    yield quote(rest, fresh)
    yield b"\n" if fresh and not rest else b"\n\n"


def quote(block: bytes, fresh: bool) -> bytes:
    """*block* with a `>` before each `From ` line; whether a line begins where it begins is *fresh*."""
    parts = []
    done = 0
    at = block.find(b"From ")
    while at >= 0:
        begin = at
        while begin and block[begin - 1] == GREATER:
            begin -= 1
        if block[begin - 1] == NEWLINE if begin else fresh:
            parts.append(block[done:begin])
            done = begin
        at = block.find(b"From ", at + 5)
    parts.append(block[done:])
    return b">".join(parts)


def gathered(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """*head* and *pieces* in as few writes as will do, so that a small message is one."""
    data = head
    for piece in pieces:
        data += piece
        if len(data) >= CHUNK:
            yield data
            data = b""
    yield data
