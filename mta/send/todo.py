"""From todo to info, local and remote: a message is taken apart.

Several messages are taken apart together, because what takes time is the disk:

    1. for each: drop what a crash left of info, local, remote, bounce; write info, local, remote
    2. begin the writing out of all files, then sync them, then the folders
    3. ask qmail-clean to remove todo and intd
    4. when it answers, the message is due

Until 3 the envelope in todo is the message's, and whatever else there is counts for nothing; so
a crash at any point begins again.  From 3 on info, local and remote are, and they are on disk.

The writing out is begun for all (`POSIX_FADV_DONTNEED` does that, and does not wait) so that
one commit of the file system's journal takes all of them.

Todo is looked through when somebody pulls the trigger, and every 25 minutes in any case.
"""

from __future__ import annotations

import os

from mta.queue import layout
from mta.queue.trigger import Trigger
from mta.send.message import LOCAL_REMOTE, drop, records
from mta.send.rewrite import rewrite
from mta.send.schedule import Fresh
from mta.send.watch import AT_ONCE
from supervise.fd import write_all
from supervise.files import sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mta.send.cleaner import Cleaner
    from mta.send.schedule import Schedule
    from mta.send.state import State
    from mta.send.watch import Watch

REST = 1500  # seconds between two looks without a trigger
PATIENCE = 10  # seconds until we look again when todo cannot be read
TOGETHER = 50  # messages at most; what runs must not wait for long
PIECE = 65536  # bytes of recipients that are written at once
SMALL = 20  # recipients of a message that is kept in memory until it is tried

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


# What may be there of a message that is not taken apart yet: of a crash, or of one that had the number before.
BEFORE = (layout.local, layout.remote, layout.bounce, layout.info)


class Failed(Exception):
    """A message cannot be taken apart now; *line* is the warning."""

    def __init__(self, line: bytes) -> None:
        self.line = line


class Draft:
    """One of the files info, local and remote, being written."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        try:
            self.fd = os.open(name, NEW, 0o600)
        except OSError:
            raise Failed(b"unable to create " + name) from None
        self.written = 0
        self.gathered = bytearray()

    def put(self, record: bytes) -> int:
        """Add a record; its offset in the file."""
        offset = self.written + len(self.gathered)
        self.gathered += record
        if len(self.gathered) >= PIECE:
            self.flush()
        return offset

    def flush(self) -> None:
        """Write what is gathered."""
        try:
            write_all(self.fd, memoryview(self.gathered))
        except OSError:
            raise Failed(b"trouble writing to " + self.name) from None
        self.written += len(self.gathered)
        self.gathered = bytearray()

    def begin_sync(self) -> None:
        """Begin to put the content on disk."""
        try:
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:  # this kind of file system has nothing to advise
            pass

    def sync(self) -> None:
        """Put the content on disk."""
        try:
            os.fsync(self.fd)
        except OSError:
            raise Failed(b"trouble fsyncing " + self.name) from None

    def close(self) -> None:
        os.close(self.fd)


class Arrival:
    """A message being taken apart."""

    def __init__(self, number: int, state: State) -> None:
        self.number, self.state = number, state
        self.sender: bytes | None = None
        self.info: Draft | None = None
        self.channels: list[Draft | None] = [None, None]
        self.recipients: list[list[tuple[int, bytes]]] = [[], []]  # the first ones, by channel
        self.count = 0

    @property
    def drafts(self) -> list[Draft]:
        return [draft for draft in (self.info, *self.channels) if draft]

    def write(self) -> None:
        """Step 1.

        Raises:
            Failed: it must be tried again later.
        """
        todo = layout.todo(self.number)
        try:
            fd = os.open(todo, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise Failed(b"unable to open " + todo) from None
        try:
            self._write(fd, todo)
        finally:
            os.close(fd)

    def _write(self, fd: int, todo: bytes) -> None:
        name = layout.mess(self.number)
        try:
            size = os.stat(name).st_size
        except OSError:
            raise Failed(b"unable to stat " + name) from None
        for file in BEFORE:
            name = file(self.number)
            try:
                drop(name)
            except OSError:
                raise Failed(b"unable to unlink " + name) from None
        self.info = Draft(name)
        self.state.log.new(self.number)
        uid = pid = 0
        try:
            for record in records(fd):
                letter = record[:1]
                if letter == b"T":
                    self._recipient(record[1:])
                elif letter == b"F":
                    self.sender = record[1:]
                    self.info.put(record + b"\0")
                    self.state.log.info(self.number, size, self.sender, pid, uid)
                elif letter == b"u":
                    uid = int(record[1:])
                elif letter == b"p":
                    pid = int(record[1:])
                else:
                    raise ValueError
        except OSError:
            raise Failed(b"trouble reading " + todo) from None
        except ValueError:
            raise Failed(b"unknown record type in " + todo) from None
        if self.sender is None:
            raise Failed(b"trouble reading " + todo)
        for draft in self.drafts:
            draft.flush()

    def _recipient(self, address: bytes) -> None:
        channel, address = rewrite(address, self.state.controls)
        draft = self.channels[channel]
        if draft is None:
            draft = self.channels[channel] = Draft(LOCAL_REMOTE[channel](self.number))
        offset = draft.put(b"T%s\0" % address)
        self.count += 1
        if self.count <= SMALL:
            self.recipients[channel].append((offset, address))

    def fresh(self, channel: int, now: int) -> Fresh | None:
        """What is to be kept in memory for *channel*."""
        if self.sender is None or self.count > SMALL:
            return None
        return Fresh(self.sender, now, self.recipients[channel])

    def close(self) -> None:
        for draft in self.drafts:
            draft.close()


class Todo:
    """Takes new messages apart."""

    def __init__(self, state: State, schedule: Schedule, cleaner: Cleaner) -> None:
        self.state, self.schedule, self.cleaner = state, schedule, cleaner
        self.trigger = Trigger()
        self.found: list[int] = []  # messages still to be taken apart
        self.handed_over: set[int] = set()  # messages whose envelopes qmail-clean is about to remove
        self.next = AT_ONCE
        self._set_trigger()

    # -- as a part of the loop -------------------------------------------------------------
    def wants(self, watch: Watch) -> None:
        if self.state.leaving:
            return
        if self.trigger.fileno() >= 0:
            watch.read(self.trigger.fileno())
        watch.until(AT_ONCE if self.found else self.next)

    def work(self, watch: Watch) -> None:
        if self.state.leaving:
            return
        if not self.found:
            self._look(watch)
        together, self.found = self.found[:TOGETHER], self.found[TOGETHER:]
        if together:
            self.take_apart(together, watch.now)

    def _look(self, watch: Watch) -> None:
        if not watch.ready(self.trigger.fileno()) and watch.now < self.next:
            return
        self._set_trigger()
        try:
            names = os.listdir(b"todo")
            self.next = watch.now + REST
        except OSError:
            self.state.log.alert(b"unable to opendir todo, sleeping...")
            self.next = watch.now + PATIENCE
            return
        self.found = [number for number in map(int, filter(bytes.isdigit, names)) if number not in self.handed_over]

    def _set_trigger(self) -> None:
        try:
            self.trigger.set()
        except OSError:  # the next look sets it
            pass

    # -- the steps -----------------------------------------------------------------------------
    def take_apart(self, numbers: list[int], now: int) -> None:
        """Take the messages *numbers* apart, together."""
        arrivals = []
        for number in numbers:
            if self.schedule.busy(number):  # somebody removed its files under our hands; let that end first
                continue
            self.schedule.forget(number)
            arrival = Arrival(number, self.state)
            if self._try(arrival, arrival.write):
                arrivals.append(arrival)
        for arrival in arrivals:
            for draft in arrival.drafts:
                draft.begin_sync()
        arrivals = [arrival for arrival in arrivals if self._try(arrival, *(draft.sync for draft in arrival.drafts))]
        if self._sync_folders({os.path.dirname(draft.name) for arrival in arrivals for draft in arrival.drafts}):
            for arrival in arrivals:
                self._hand_over(arrival, now)
        for arrival in arrivals:
            arrival.close()
        self.cleaner.flush()

    def _try(self, arrival: Arrival, *steps: Callable[[], None]) -> bool:
        """Do *steps*; False when one failed, which is said, and the message is tried again later."""
        try:
            for step in steps:
                step()
            return True
        except Failed as failed:
            self.state.log.warning(failed.line)
            arrival.close()
            return False

    def _sync_folders(self, folders: set[bytes]) -> bool:
        folder = b""
        try:
            for folder in folders:
                sync_folder(folder)
            return True
        except OSError:
            self.state.log.warning(b"trouble fsyncing " + folder)
            return False

    def _hand_over(self, arrival: Arrival, now: int) -> None:
        """Steps 3 and 4."""
        number = arrival.number
        fresh = [arrival.fresh(channel, now) if draft else None for channel, draft in enumerate(arrival.channels)]
        there = [bool(draft) for draft in arrival.channels]

        def removed(done: bool) -> None:
            self.handed_over.discard(number)
            if not done:
                return
            for timetable, waits, kept in zip(self.schedule.channels, there, fresh, strict=True):
                if waits:
                    timetable.add(number, now, kept)
            if not any(there):
                self.schedule.done.add(number, AT_ONCE)

        self.handed_over.add(number)
        self.cleaner.remove_todo(number, removed)
