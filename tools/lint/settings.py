"""The files that settings are in, each read once, their lines with numbers.

A carriage return at the end of a line has a complaint of its own; here it is not there, so that it hides no other.
"""

from __future__ import annotations

import os

from mta.control import BLANKS, numbered
from mta.home import path
from supervise.errors import Temporary, reason
from supervise.files import slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Lines = list[tuple[int, bytes]]
    Found = Iterator[tuple[int, bytes]]  # what is wrong in a file: the number of the line, 0 for all of it; the words
    Complaints = Iterator[tuple[bytes, int, bytes]]  # the same with the file, below the home, in front


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
                if os.path.exists(file) and not os.path.isfile(file):  # such as a FIFO, on which we would wait
                    self.unread[name] = b"it is no file"
                else:
                    self.contents[name] = slurp(file)
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
