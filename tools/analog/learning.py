"""Learns from one log directory: reads what is new, and puts what follows from it into the store, piece by piece."""

from __future__ import annotations

import os

from supervise.errors import Temporary
from supervise.history.directory import release
from tools.analog.lines import text
from tools.analog.matching import NOTHING, Matcher
from tools.analog.reading import Reading
from tools.analog.series import Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.history.directory import Complain
    from tools.analog.store import Store

PIECE = 1 << 24  # bytes of log that are committed together, at least


class Copied(Temporary):
    """The logs of a directory are those of another one that the store knows, and that has them still."""


class Learner:
    """Knows what is pending in the log directory *folder*.

    Args:
        store: what it has been told by those before, and tells to those after.

    Raises:
        OSError: the folder cannot be read.
        Copied: its logs are those of another directory.
        Temporary: the store cannot be read or written.
    """

    def __init__(self, store: Store, folder: bytes) -> None:
        self.store, self.folder = store, folder
        self.source = source_of(store, folder)
        pending, now, peak, since, queue, running = store.kept(self.source)
        self.series = Series(since, queue, running)
        self.matcher = Matcher()
        self.matcher.take(pending.splitlines())
        self.matcher.second, self.matcher.now, self.matcher.peak = NOTHING, now, peak
        self.matcher.passing = lambda second, lines: self.series.passed(self.matcher, second, lines)
        self.found: list[bytes] = []

    def learn(self, complain: Complain, piece: int = PIECE) -> None:
        """Put all into the store that is new.

        Args:
            complain: is called with one line about each file that cannot be read.
            piece: bytes of log that are committed together, at least.

        Raises:
            OSError: the folder cannot be read.
            Temporary: the store cannot be written.
        """
        reading = Reading(self.folder, self.store.read(self.source), complain)
        first, size = self.matcher.now, 0
        for block in reading.blocks():
            found = self.matcher.take(block.split(b"\n")[:-1])
            self.series.count(found, self.matcher.now)
            self.found += found
            size += len(block)
            if size >= piece:
                self.commit(reading, first)
                first, size = self.matcher.now, 0
        self.commit(reading, first)

    def commit(self, reading: Reading, first: int) -> None:
        """Put into the store what has been learnt since the second *first*."""
        matcher, series = self.matcher, self.series
        kept = matcher.pending(), matcher.now, matcher.peak, series.since, series.queue, series.running
        self.store.add(self.source, kept, reading.read, series, first, text(self.found) if self.found else b"")
        self.found = []
        series.minutes = {}


def source_of(store: Store, folder: bytes) -> int:
    """The number of the log directory *folder*; that of an old one if it has been renamed, which its logs tell."""
    path, known = os.path.realpath(folder), store.sources()
    if known and path not in known:
        marks = marks_of(folder)
        for other, number in known.items():
            if marks & store.read(number).keys():
                if not is_same(folder, other) and marks & marks_of(other):
                    raise Copied(b"%b has logs that %b has, too: it is passed over" % (folder, other))
                store.rename(number, path)
                return number
    return store.source(path)


def marks_of(folder: bytes) -> set[bytes]:
    """By what the store knows the logs of *folder*: their labels and first lines; nothing if there is none."""
    try:
        reading = Reading(folder, {}, lambda line: None)
    except (FileNotFoundError, NotADirectoryError):
        return set()
    release(reading.logs)
    return {log.label for log in reading.logs if log.label} | {head for head in reading.heads.values() if head}


def is_same(folder: bytes, other: bytes) -> bool:
    """Whether both are names of one folder."""
    try:
        return os.path.samefile(folder, other)
    except (FileNotFoundError, NotADirectoryError):
        return False
