"""The files that settings are in, each read once, their lines with numbers.

A carriage return at the end of a line has a complaint of its own; here it is not there, so that it hides no other.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from mta.control import BLANKS, numbered
from mta.home import path
from supervise.errors import Temporary, Trouble, reason
from supervise.files import slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Lines = list[tuple[int, bytes]]
    Found = Iterator[tuple[int, bytes]]  # what is wrong in a file: the number of the line, 0 for all of it; the words
    Complaints = Iterator[tuple[bytes, int, bytes]]  # the same with the file, below the home, in front

LARGEST = 1 << 26  # bytes of a file that is read: more than a million users or hosts have
MOST = 1000  # complaints of one file that are told


class Folder:
    """A folder of the home, by its *name*, such as `control`.

    Attributes:
        names: of what is in it, sorted.

    Raises:
        Temporary: it cannot be read.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        try:
            self.names = sorted(os.listdir(path(name)))
        except FileNotFoundError:  # of which another line tells
            self.names = []
        except OSError as error:
            raise Temporary(b"unable to read " + path(name), error) from None
        self.contents: dict[bytes, bytes | None] = {}
        self.unread: dict[bytes, bytes] = {}  # why

    def content(self, name: bytes) -> bytes | None:
        """What is in the file *name*; None: it is not there, or cannot be read."""
        if name not in self.contents:
            self.contents[name] = None
            file = path(self.name, name)
            try:
                about = os.stat(file)
                if not stat.S_ISREG(about.st_mode):  # such as a FIFO, on which we would wait
                    self.unread[name] = b"it is no file"
                elif about.st_size > LARGEST:
                    self.unread[name] = too_large(about)
                else:
                    self.contents[name] = slurp(file)
            except FileNotFoundError:
                pass
            except OSError as error:
                self.unread[name] = reason(error)
        return self.contents[name]

    def lines(self, name: bytes) -> Lines:
        """The lines that say something in the list *name*; none without it."""
        found = ((at, line.rstrip(b"\r" + BLANKS)) for at, line in numbered(self.content(name) or b""))
        return [(at, line) for at, line in found if line]

    def value(self, name: bytes) -> bytes | None:
        """The first line of the file *name*."""
        content = self.content(name)
        return None if content is None else content.partition(b"\n")[0].rstrip(b"\r" + BLANKS)

    def file(self, name: bytes) -> bytes:
        """How complaints call the file *name*."""
        return self.name + b"/" + name

    def returns(self, name: bytes) -> Found:
        """The lines of the file *name* that have a carriage return at the end."""
        return returns(self.content(name) or b"")

    def strangers(self, known: list[bytes]) -> Complaints:
        """The names that are not *known*, to no program of ours, each with the one that may be meant."""
        for name in self.names:
            if name not in known:
                from difflib import get_close_matches

                near = get_close_matches(os.fsdecode(name), map(os.fsdecode, known), 1, 0.75)
                meant = b"".join(b"; is it to be %s?" % os.fsencode(word) for word in near)
                yield self.file(name), 0, b"no program reads a file of this name" + meant


def guarded(file: bytes, complaints: Complaints) -> Complaints:
    """The *complaints* of *file*.  That they end with an error is one more, and keeps nobody else's from being told."""
    try:
        yield from islice(complaints, MOST)
        if any(True for _ in complaints):
            yield file, 0, b"there is more than these %d" % MOST
    except Exception as error:
        if b"PYQMAIL_DEBUG" in os.environb and not isinstance(error, (Trouble, OSError, MemoryError)):
            raise
        yield file, 0, b"cannot be checked: " + in_words(error)


def in_words(error: Exception) -> bytes:
    """What *error* says."""
    if isinstance(error, Trouble):
        return error.line
    if isinstance(error, MemoryError):
        return b"out of memory"
    return reason(error) if isinstance(error, OSError) else b"bug: " + repr(error).encode()


def too_large(about: os.stat_result) -> bytes:
    """What is wrong with a file that is too large to be read."""
    return b"%d bytes are more than such a file has" % about.st_size


def returns(content: bytes) -> Found:
    """The lines of *content* that have a carriage return at the end."""
    for at, line in enumerate(content.split(b"\n"), 1):
        if line.rstrip(BLANKS).endswith(b"\r"):
            yield at, b"a carriage return at the end of the line, as other systems write it"


def repeated(entries: Lines) -> Found:
    """The lines of *entries* for which another one is there, of which the first counts."""
    counts: dict[bytes, int] = {}
    for at, entry in entries:
        if counts.setdefault(entry, at) != at:
            yield at, b"does not count: line %d is for the same" % counts[entry]
