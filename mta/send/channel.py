"""A channel: the connection to one spawner, qmail-lspawn or qmail-rspawn.

    limit    <- first of all: how many deliveries the spawner runs at a time (see `slots`)
    request  -> SLOT, `S/N` NUL (the message, below queue/mess), sender NUL, recipient NUL
    report   <- SLOT, letter, text, NUL

The letter is K (done), D (never) or Z (later); a report of another form defers.  Spawners are
not trusted: a report is cut at 10000 bytes, and a slot that is not in use is not believed.
"""

from __future__ import annotations

import os

from mta.queue import layout
from mta.send.pipe import Requests
from mta.send.rewrite import sender_for
from mta.slots import Slots
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.send.bounce import Notes
    from mta.send.passes import Job
    from mta.send.state import State
    from mta.send.watch import Watch

LONGEST = 10_000  # bytes of a report that are kept, its slot and letter included
CHUNK = 65536
NAMES = (b"local", b"remote")
DYING = b"I'm not going to try again; this message has been in the queue too long.\n"


class Delivery:
    """One delivery under way: its *number* in the log, its *job*, the recipient and its *offset* in the file."""

    __slots__ = ("job", "number", "offset", "recipient")

    def __init__(self, number: int, job: Job, offset: int, recipient: bytes) -> None:
        self.number, self.job, self.offset, self.recipient = number, job, offset, recipient


class Channel:
    """One spawner: what runs there, what is on its way there.

    Args:
        index: LOCAL or REMOTE.
        commands: the pipe to the spawner.
        reports: the pipe from it.

    Raises:
        Temporary: there is no spawner.
    """

    def __init__(self, state: State, notes: Notes, index: int, commands: int, reports: int) -> None:
        self.state, self.notes = state, notes
        self.index, self.name = index, NAMES[index]
        self.requests = Requests(commands)
        self.reports = reports
        slots = Slots.read(reports)
        if slots is None:
            raise Temporary(b"hath the daemon spawn no fire?")
        self.slots = slots
        self.free = list(range(slots.limit - 1, -1, -1))  # the lowest at the end
        self.running: dict[int, Delivery] = {}  # by slot
        self.heard = b""  # the beginning of a report
        self.alive = True

    # -- as a part of the loop -------------------------------------------------------------
    def wants(self, watch: Watch) -> None:
        if not self.alive:
            return
        watch.read(self.reports)
        if self.requests.waiting:
            watch.write(self.requests.fd)

    def work(self, watch: Watch) -> None:
        if self.alive and watch.ready(self.reports):
            data = os.read(self.reports, CHUNK)
            if data:
                self._hear(data, watch.now)
            else:
                self._died()
        self.flush()

    # -- requests --------------------------------------------------------------------------
    @property
    def limit(self) -> int:
        """How many deliveries may run at a time now."""
        return min(self.state.controls.concurrency[self.index], self.slots.limit)

    def room(self) -> bool:
        """Whether one more delivery may begin."""
        return len(self.running) < self.limit and self.alive

    def begin(self, job: Job, offset: int, recipient: bytes) -> None:
        """Begin a delivery; there must be room.  The request goes out with the next `flush`."""
        slot = self.free.pop()
        delivery = self.running[slot] = Delivery(next(self.state.deliveries), job, offset, recipient)
        self.requests.put(
            b"%s%d/%d\0%s\0%s\0"
            % (
                self.slots.pack(slot),
                job.number % layout.SPLIT,
                job.number,
                sender_for(job.sender, recipient),
                recipient,
            )
        )
        self.state.log.starting(delivery.number, job.number, self.name, recipient)
        self.state.status()

    def flush(self) -> None:
        """Send the requests on their way."""
        if self.alive and not self.requests.flush():
            self._died()

    # -- reports ---------------------------------------------------------------------------
    def _hear(self, data: bytes, now: int) -> None:
        """Act on the reports in *data*.

        First failures are noted and the notes synced, once for all of them; then recipients
        are marked as done.  So no loss of power can take a failure away from the sender.
        """
        data = self.heard + data
        jobs: dict[Job, None] = {}
        at, width = 0, self.slots.width
        while (end := data.find(b"\0", at + width)) >= 0:
            report = data[at + width : min(end, at + LONGEST)]
            slot = self.slots.unpack(data, at)
            delivery = self.running.pop(slot, None)
            if delivery is None:
                self.state.log.warning(b"internal error: delivery report out of range")
            else:
                self.free.append(slot)
                self._judge(delivery, report[:1], report[1:])
                self.state.status()
                jobs[delivery.job] = None
            at = end + 1
        self.heard = data[at : at + LONGEST]
        self.notes.sync()
        for job in jobs:
            job.settle(now)

    def _judge(self, delivery: Delivery, letter: bytes, text: bytes) -> None:
        job = delivery.job
        job.running -= 1
        if letter == b"Z" and job.dying:
            letter, text = b"D", text + DYING
        self.state.log.verdict(delivery.number, letter, text)
        if letter == b"D":
            self.notes.add(job.number, delivery.recipient, text)
        if letter in (b"K", b"D"):
            job.finished.append(delivery.offset)

    def _died(self) -> None:
        self.alive = False
        self.state.lost(b"spawn")
