"""Maildir: a folder in which each message is a file, and a name in new/ means a whole message.

    tmp/TIME.PID.HOST         being written; from a delivery that died when older than 36 hours
    new/TIME.PID_FILE.HOST    delivered, not yet seen by a reader
    cur/NAME:2,FLAGS          seen; the reader's own

TIME is in seconds since 1970.  PID is the writer's, so nobody else uses the same draft in
the same second.  One process delivers many messages in a second here, so the delivered
name says besides which FILE it is, by inode number: two messages of one Maildir are never
the same file, whatever becomes of clocks and process numbers.  In HOST, `/` is written
`\\057` and `:` is written `\\072`.

A message is delivered when it has its name in new/: written and synced under tmp/, linked
to new/, and then new/ is synced, so that it survives a crash of the machine.
"""

from __future__ import annotations

import os
import time

from mta.mailbox.alarm import within
from supervise import files
from supervise.errors import Temporary, passing
from supervise.fd import TimedOut, chunks, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FOLDERS = (b"tmp", b"new", b"cur")
PATIENCE = 86400  # seconds for one delivery; readers clear tmp/ of what is older than 36 hours
TRIES = 3


def make(maildir: bytes) -> None:
    """Make an empty Maildir, for its owner alone.

    Raises:
        Temporary: it exists, or cannot be made.
    """
    for folder in (maildir, *(maildir + b"/" + name for name in FOLDERS)):
        try:
            os.mkdir(folder, 0o700)
        except OSError as error:
            raise Temporary(b"unable to mkdir " + folder, error) from None


def deliver(maildir: bytes, head: bytes, message: int, meanwhile: Callable[[], None] | None = None) -> None:
    """Put *head* and what *message* still has into *maildir*, as one message.

    Args:
        maildir: the folder's path, with a slash at its end.
        message: a descriptor.
        meanwhile: what else belongs to the delivery; done when the message is on disk and has no name in new/ yet,
            so that neither is done again for want of the other. What it raises leaves *maildir* as it was.

    Raises:
        Temporary: it could not be done, or may not survive a crash.
    """
    try:
        with within(PATIENCE):
            write(maildir, head, message, meanwhile)
    except TimedOut:
        raise Temporary(b"Timeout on maildir delivery. (#4.3.0)") from None
    except OSError:
        raise Temporary(obstacle(maildir)) from None


def write(maildir: bytes, head: bytes, message: int, meanwhile: Callable[[], None] | None = None) -> None:
    """The steps of a delivery.

    Raises:
        Temporary: *message* cannot be read; and what *meanwhile* raises.
        OSError: a step failed.
    """
    draft, fd = create(maildir)
    try:
        try:
            fill(fd, head, message)
            file = os.fstat(fd).st_ino
        finally:
            os.close(fd)
        if meanwhile is not None:
            meanwhile()
        seconds, pid, host = os.path.basename(draft).split(b".", 2)
        files.link(draft, b"%snew/%s.%s_%d.%s" % (maildir, seconds, pid, file, host))
    finally:
        try:
            os.unlink(draft)
        except OSError:  # a reader has cleared tmp/; what counts is the name in new/
            pass


def create(maildir: bytes) -> tuple[bytes, int]:
    """A new file in tmp/: its path and its descriptor."""
    host = os.fsencode(os.uname().nodename).replace(b"/", b"\\057").replace(b":", b"\\072")
    for left in reversed(range(TRIES)):
        draft = b"%stmp/%d.%d.%s" % (maildir, time.time(), os.getpid(), host)
        try:
            return draft, os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:  # left by a crash of a machine whose clock has gone back
            if not left:
                raise
            time.sleep(2)
    raise AssertionError


def fill(fd: int, head: bytes, message: int) -> None:
    """Write *head* and the rest of *message* to *fd*, on disk."""
    source = chunks(message)
    while True:
        try:
            data = next(source, b"")
        except OSError:
            raise Temporary(b"Unable to read message. (#4.3.0)") from None
        write_all(fd, head + data)
        if not data:
            break
        head = b""
    os.fsync(fd)


def obstacle(maildir: bytes) -> bytes:
    """Why a delivery failed, for its sender's postmaster."""
    try:
        os.stat(maildir + b".")  # needs what changing to it would need
    except OSError as error:
        if not passing(error):
            return b"Unable to chdir to maildir. (#4.2.1)"
    return b"Temporary error on maildir delivery. (#4.3.0)"
