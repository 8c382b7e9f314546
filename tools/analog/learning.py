"""Learns from one log directory: reads what is new, and puts what follows from it into the store, piece by piece."""

from __future__ import annotations

import os

from tools.analog.lines import text
from tools.analog.matching import NOTHING, Matcher
from tools.analog.reading import Reading
from tools.analog.series import Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.history.directory import Complain
    from tools.analog.store import Store

PIECE = 1 << 24  # bytes of log that are committed together, at least


class Learner:
    """Knows what is pending in the log directory *folder*.

    Args:
        store: what it has been told by those before, and tells to those after.
    """

    def __init__(self, store: Store, folder: bytes) -> None:
        self.store, self.folder = store, folder
        self.source = store.source(os.path.realpath(folder))
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
