"""When each message is tried again.

A message that is not delivered waits longer each time: after n tries about (n * k) ^ 2 seconds
have passed since its birth, where k is 10 on this machine and 20 elsewhere.  The next try is at

    birth + (isqrt(now - birth) + k) ^ 2

which needs no memory of the tries before.  Between two runs of qmail-send the moment of the next
try is the time of change of the recipients' file.

A timetable is a heap; thousands of messages that wait cost nothing until their time has come.
"""

from __future__ import annotations

import heapq
import os
import time
from math import isqrt

from mta.queue import layout
from mta.send.message import LOCAL_REMOTE, exists
from mta.send.state import SYSTEM_FAILURE
from mta.send.watch import AT_ONCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.send.state import State
    from mta.send.watch import Watch

SKIP = (10, 20)  # by channel: the k above
FRESH = 5000  # messages of which more than the number is kept in memory
PATIENCE = 10  # seconds between tries at a folder that cannot be read


def next_try(birth: int, now: int, channel: int) -> int:
    """The moment of the next try on *channel* for a message of that *birth*."""
    root = isqrt(now - birth) if now > birth else 0
    return birth + (root + SKIP[channel]) ** 2


class Fresh:
    """A message just taken apart, as long as nobody has tried it: its files need not be read."""

    __slots__ = ("birth", "recipients", "sender")

    def __init__(self, sender: bytes, birth: int, recipients: list[tuple[int, bytes]]) -> None:
        self.sender, self.birth, self.recipients = sender, birth, recipients


class Timetable:
    """Messages and the moment that each waits for; the earliest comes first."""

    def __init__(self) -> None:
        self.heap: list[tuple[int, int]] = []
        self.moments: dict[int, int] = {}  # what counts; the heap may hold older moments besides
        self.fresh: dict[int, Fresh] = {}
        self.working: set[int] = set()  # messages that wait no more because they are being worked on

    def add(self, number: int, moment: int, fresh: Fresh | None = None) -> None:
        """Let message *number* wait until *moment*."""
        self.moments[number] = moment
        heapq.heappush(self.heap, (moment, number))
        if fresh and len(self.fresh) < FRESH:
            self.fresh[number] = fresh

    def soonest(self) -> int | None:
        """The moment at which the first message is due; None when none waits."""
        while self.heap:
            moment, number = self.heap[0]
            if self.moments.get(number) == moment:
                return moment
            heapq.heappop(self.heap)
        return None

    def take(self, now: int) -> int | None:
        """A message that is due, which waits no more; None when there is none."""
        moment = self.soonest()
        if moment is None or moment > now:
            return None
        number = heapq.heappop(self.heap)[1]
        del self.moments[number]
        return number

    def take_fresh(self, number: int) -> Fresh | None:
        """What is in memory of a message that has just been taken, if anything."""
        return self.fresh.pop(number, None)

    def forget(self, number: int) -> None:
        """Let *number* wait no more."""
        self.moments.pop(number, None)
        self.fresh.pop(number, None)

    def hurry(self, now: int) -> None:
        """Let everything that waits for a later moment be due."""
        self.moments = {number: min(moment, now) for number, moment in self.moments.items()}
        self.heap = [(moment, number) for number, moment in self.moments.items()]
        heapq.heapify(self.heap)


class Schedule:
    """All messages that have been taken apart, but for those being worked on.

    Attributes:
        channels: by channel, messages with recipients that wait.
        done: messages without recipients, which may go.
        unsure: messages whose files could not be looked at.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.channels = Timetable(), Timetable()
        self.done = Timetable()
        self.unsure = Timetable()

    # -- as a part of the loop -------------------------------------------------------------
    def wants(self, watch: Watch) -> None:
        watch.until(self.unsure.soonest())

    def work(self, watch: Watch) -> None:
        while (number := self.unsure.take(watch.now)) is not None:
            self.place(number, watch.now)

    # -- from disk and back ------------------------------------------------------------------
    def load(self, now: int) -> None:
        """Take up the messages that lie in the queue."""
        for folder in layout.folders(b"info"):
            for entry in self._names(folder):
                if entry.isdigit():
                    self.place(int(entry), now)

    def _names(self, folder: bytes) -> list[bytes]:
        while True:
            try:
                return os.listdir(folder)
            except OSError:
                self.state.log.alert(b"unable to opendir %s, sleeping..." % folder)
                time.sleep(PATIENCE)

    def place(self, number: int, now: int) -> None:
        """Let message *number* wait for what its files say it waits for."""
        name = layout.info(number)
        try:
            if not exists(name):
                return
            name = layout.todo(number)
            if exists(name):  # it was being taken apart when qmail-send died; that begins again
                return
            moments: list[int | None] = []
            for file in LOCAL_REMOTE:
                name = file(number)
                try:
                    moments.append(int(os.stat(name).st_mtime))
                except FileNotFoundError:
                    moments.append(None)
        except OSError:
            self.state.log.warning(b"unable to stat %s; will try again later" % name)
            self.unsure.add(number, now + SYSTEM_FAILURE)
            return
        for timetable, moment in zip(self.channels, moments, strict=True):
            if moment is not None:
                timetable.add(number, moment)
        if moments == [None, None]:
            self.done.add(number, AT_ONCE)

    def save(self) -> None:
        """Write the moment of each message's next try where the next qmail-send will look for it."""
        for timetable, file in zip(self.channels, LOCAL_REMOTE, strict=True):
            for number, moment in timetable.moments.items():
                name = file(number)
                try:
                    os.utime(name, (moment, moment))
                except OSError:
                    self.state.log.warning(b"unable to utime %s; message will be retried too soon" % name)

    def busy(self, number: int) -> bool:
        """Whether message *number* is being worked on."""
        return any(number in timetable.working for timetable in self.channels)

    def forget(self, number: int) -> None:
        """Drop all we know of message *number*: a new one has that number now."""
        for timetable in (*self.channels, self.done, self.unsure):
            timetable.forget(number)
