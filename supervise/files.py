"""Files that are whole or not there: content, sync, name; then the folder is synced too.

This is the one place that renames and links.  Whoever announces something on disk, the
queue, a Maildir, a cdb, a rotated log, does it through the functions here, because the
order of the steps is what survives a crash.
"""

from __future__ import annotations

import fcntl
import os

from supervise.errors import Temporary
from supervise.fd import read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import TypeVar

    T = TypeVar("T")


def sync_folder(folder: bytes) -> None:
    """Put the names in *folder* on disk."""
    try:
        fd = os.open(folder or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # who may put names into a folder need not be allowed to read it
        os.sync()
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rename(old: bytes, new: bytes, *, sync: bool = True, folder: int | None = None) -> None:
    """Rename *old* to *new*, in place of any *new*, and put the name on disk.

    Args:
        sync: false when it is enough that names reach the disk in the order in which they were given.
        folder: the descriptor of a folder that both are in; only without *sync*.
    """
    os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
    if sync:
        sync_folder(os.path.dirname(new))


def link(old: bytes, new: bytes, *, sync: bool = True) -> None:
    """Give *old* a second name *new* and put it on disk; without *sync* the caller does that later.

    Raises:
        FileExistsError: *new* is taken.
    """
    os.link(old, new)
    if sync:
        sync_folder(os.path.dirname(new))


class announced:
    """Write *draft*; when the block ends well it is there as *name*, whole and on disk.

    A reader sees the old file or the new one.  A crash leaves at worst a draft, an
    exception leaves nothing new.  The block gets the draft's descriptor.  A draft that is a link is refused:
    in a folder of somebody else's, it would have us write over any file of ours.

    Args:
        mode: the file's, less the umask, unless the draft was there already.  One that gives nothing to others means
            a secret: then a draft that was there, and that somebody may have open, is removed and made anew.

    >>> with announced(b"rules.cdb", b"rules.tmp") as fd: ...
    """

    def __init__(self, name: bytes, draft: bytes, mode: int = 0o644) -> None:
        self.name, self.draft, self.mode = name, draft, mode

    def __enter__(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        if not self.mode & 0o077:
            discard(self.draft)
            flags |= os.O_EXCL
        self.fd = os.open(self.draft, flags, self.mode)
        return self.fd

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                os.fsync(self.fd)
        except OSError:
            os.unlink(self.draft)
            raise
        finally:
            os.close(self.fd)
        if kind is None:
            rename(self.draft, self.name)
        else:
            os.unlink(self.draft)


def discard(draft: bytes) -> None:
    """Remove the file *draft*, if there is one; a link stays."""
    try:
        if not os.path.islink(draft):
            os.unlink(draft)
    except FileNotFoundError:
        pass


def obstacle(error: OSError, name: bytes, draft: bytes) -> bytes:
    """Which step it was that failed with *error* when *draft* was to become *name*."""
    if error.filename2 is not None:
        return b"unable to move %s to %s" % (draft, name)
    return (b"unable to create " if error.filename is not None else b"unable to write to ") + draft


def make(write: Callable[[bytes, bytes, Iterable[T]], None], name: bytes, draft: bytes, records: Iterable[T]) -> None:
    """Have *write* make the file *name*, by way of *draft*, of the *records* that our descriptor 0 tells.

    Raises:
        Temporary: the input cannot be read, or one of the files not be written.
    """
    build(write, name, draft, heard(records))


def build(write: Callable[[bytes, bytes, Iterable[T]], None], name: bytes, draft: bytes, records: Iterable[T]) -> None:
    """Have *write* make the file *name*, by way of *draft*, of *records*.

    Raises:
        Temporary: one of the files cannot be written.
    """
    try:
        write(name, draft, records)
    except OSError as error:
        raise Temporary(obstacle(error, name, draft), error) from None


def heard(records: Iterable[T]) -> Iterator[T]:
    """The *records*; an error in them is one of the input."""
    try:
        yield from records
    except OSError as error:
        raise Temporary(b"unable to read input", error) from None


def publish(name: bytes, draft: bytes, content: bytes, mode: int = 0o644) -> None:
    """Make *content* the file *name* in one step, by way of *draft*, and put nothing on disk.

    For state that only living processes read, such as `supervise/status`: a reader sees the
    old file or the new one, and after a crash of the machine neither would mean anything.
    """
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        write_all(fd, content)
    finally:
        os.close(fd)
    os.rename(draft, name)


def overwrite(name: bytes, content: bytes) -> bool:
    """Make *content* that of the file *name* where it stands, without room for a new one; whether it could be done.

    For what `publish` has made, a few bytes, when the disk is full: those that are there are ours already.
    """
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        write_all(fd, content)
        os.ftruncate(fd, len(content))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def identity(about: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is replaced, or written to, or may be read by others than before."""
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def slurp(path: bytes) -> bytes | None:
    """The content of *path*, or None when there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        return read_all(fd)  # in pieces that leave no holes in the heap of a process that lives on
    finally:
        os.close(fd)


def lock(path: bytes, mode: int = 0o600, *, wait: bool = True) -> int:
    """Lock *path* for us alone, made when it is missing; the descriptor that holds the lock.

    The lock ends with the descriptor, so with the process too.

    Raises:
        BlockingIOError: somebody has it and we do not *wait*.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(fd)
        raise
    return fd
