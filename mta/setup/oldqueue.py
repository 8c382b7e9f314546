"""The queue of an older system, as its files lie there: read, never changed.

Its folders may be split into another number of parts than ours, `todo` and `intd` too.  Message 457 is looked for in
part 457 % parts, where that system's qmail-send looks; a file anywhere else is no message's.
"""

from __future__ import annotations

import errno
import os
import stat

from mta.queue import envelope, layout
from supervise.errors import reason
from supervise.fd import chunks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = (b"mess", b"intd", b"todo", b"info", b"local", b"remote", b"bounce")
LARGEST = 1 << 26  # bytes of a file that is read whole: more than a hundred thousand recipients have
ACCEPTED = (b"mess", b"todo")  # the files of a message that qmail-send has not taken apart: all of the rest is void
ACTIVE = (b"mess", b"local", b"remote", b"bounce", b"info")  # and of one that it has


class Broken(Exception):
    """A message that cannot be taken over; *line* says why."""

    def __init__(self, line: bytes) -> None:
        self.line = line


class OldMessage:
    """A message of the old queue.

    Attributes:
        number: what it is called there.
        files: kind (`mess`, `todo`, ...) -> file.
    """

    def __init__(self, number: int, files: dict[bytes, bytes]) -> None:
        self.number, self.files = number, files

    def kinds(self) -> list[bytes]:
        """Which of its files are the message, as that system's qmail-send reads them.

        Raises:
            Broken: it was never accepted, or its files do not belong together.
        """
        kinds = ACCEPTED if b"todo" in self.files else ACTIVE
        if kinds[-1] not in self.files:
            if self.files.keys() <= {b"mess", b"intd"}:
                raise Broken(b"not accepted, or done")
            raise Broken(b"%s without info" % b", ".join(self.files))
        if b"mess" not in self.files:
            raise Broken(b"%s without mess" % b", ".join(self.files))
        return [kind for kind in kinds if kind in self.files]

    def key(self) -> bytes:
        """What no other message of this queue is ever called: its number and when its text was written.

        Raises:
            Broken: it has no text.
        """
        try:
            return b"%d.%d" % (self.number, os.lstat(self.files[b"mess"]).st_mtime_ns)
        except (KeyError, OSError):
            raise Broken(b"mess cannot be read") from None

    def open(self, kind: bytes) -> int:
        """A descriptor of one of its files.

        Raises:
            Broken: it cannot be read, or is no file.
        """
        try:
            fd = os.open(self.files[kind], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link, which may lead to what only root can read
                raise Broken(kind + b" is not a file") from None
            raise Broken(kind + b" cannot be read: " + reason(error)) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Broken(kind + b" is not a file")
        return fd

    def content(self, kind: bytes, fd: int) -> Iterator[bytes]:
        """What *fd* of that *kind* holds, in pieces.

        Raises:
            Broken: it cannot be read to its end, or is not what such a file is.
        """
        try:
            if kind in (b"mess", b"bounce"):
                yield from chunks(fd)
                return
            if os.fstat(fd).st_size > LARGEST:
                raise Broken(kind + b" is larger than any such file")
            whole = b"".join(chunks(fd))
        except OSError as error:
            raise Broken(kind + b" cannot be read: " + reason(error)) from None
        check(kind, whole)
        yield whole


def check(kind: bytes, content: bytes) -> None:
    """Refuse what is no sender's record, no recipients, no envelope.

    Raises:
        Broken: says what is wrong.
    """
    *records, rest = content.split(b"\0")
    if rest:
        raise Broken(kind + b" breaks off within an address")
    if kind == b"todo":
        try:
            envelope.parse(content)
        except ValueError:
            raise Broken(b"todo holds no envelope") from None
    elif kind == b"info":
        if len(records) != 1 or not records[0].startswith(b"F"):
            raise Broken(b"info holds no sender")
    else:
        for record in records:
            if record[:1] not in (b"T", b"D"):
                raise Broken(kind + b" holds what is no recipient")


class OldQueue:
    """A queue of an older system.

    Attributes:
        folder: where it is.
        messages: all that is there of messages, by number.
        strangers: files where no message of their name belongs.
    """

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self.strangers: list[bytes] = []
        found: dict[int, dict[bytes, bytes]] = {}
        for kind in KINDS:
            for number, file in self._files(kind):
                found.setdefault(number, {})[kind] = file
        self.messages = [OldMessage(number, files) for number, files in sorted(found.items())]

    def _files(self, kind: bytes) -> Iterator[tuple[int, bytes]]:
        """Every message with a file of *kind*, and that file."""
        top = self.folder + b"/" + kind
        parts, others = parted(top)
        places = [(part, b"%s/%d" % (top, part)) for part in sorted(parts)] or [(0, top)]
        if parts:
            self.strangers += [top + b"/" + name for name in others]
        files = [
            (number_of(name), part, folder + b"/" + name) for part, folder in places for name in os.listdir(folder)
        ]
        split = split_of(parts, files)
        for number, part, file in files:
            if number is None or number % split != part:
                self.strangers.append(file)
            else:
                yield number, file


def parted(top: bytes) -> tuple[set[int], list[bytes]]:
    """The parts that the folder *top* is split into, and what else is in it."""
    names = os.listdir(top)
    parts = {int(name) for name in names if number_of(name) is not None and is_folder(top + b"/" + name)}
    return parts, [name for name in names if number_of(name) not in parts]


def is_folder(name: bytes) -> bool:
    """Whether *name* leads to a folder.

    Raises:
        OSError: the system cannot tell: a part that is passed by would be a message without some of its files.
    """
    try:
        return stat.S_ISDIR(os.stat(name).st_mode)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise


def split_of(parts: set[int], files: list[tuple[int | None, int, bytes]]) -> int:
    """Into how many *parts* a folder is split: the number by which most *files* lie in theirs; some may be missing."""
    if not parts:
        return 1

    def fitting(split: int) -> int:
        return sum(number is not None and number % split == part for number, part, _ in files)

    return max((len(parts), max(parts) + 1, layout.SPLIT), key=fitting)


def number_of(name: bytes) -> int | None:
    """The number that a file of the queue has for its name; None when it is none."""
    return int(name) if name.isdigit() and b"%d" % int(name) == name else None
