"""Passes: which recipients of which message go next on a channel.

When a message's time has come, a pass goes over its recipients on one channel and begins a
delivery for each that waits, as fast as the spawner has room.  The message is a job from then
until the pass is over and its last delivery has ended.  Then it either waits for its next try,
or, with nobody left, its file goes.
"""

from __future__ import annotations

import os

from mta.send.message import LOCAL_REMOTE, Damaged, exists, mark, read_info, waiting
from mta.send.schedule import next_try
from mta.send.state import SYSTEM_FAILURE
from mta.send.watch import AT_ONCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.send.channel import Channel
    from mta.send.schedule import Schedule
    from mta.send.state import State
    from mta.send.watch import Watch


class Job:
    """A message being worked on, on one channel.

    Attributes:
        retry: the moment of the next try, if there is one.
        dying: it has been in the queue for too long; what is deferred now fails.
        left: recipients seen by the pass that are not done.
        running: deliveries under way.
        finished: offsets of the recipients that are done and not marked yet.
        passing: the pass is not over.
        seen: the pass has come to the end of the file.
    """

    __slots__ = ("dying", "finished", "left", "number", "pass_", "passing", "retry", "running", "seen", "sender")

    def __init__(self, pass_: Pass, number: int, sender: bytes, retry: int, dying: bool) -> None:
        self.pass_, self.number, self.sender = pass_, number, sender
        self.retry, self.dying = retry, dying
        self.left = self.running = 0
        self.finished: list[int] = []
        self.passing, self.seen = True, False

    def settle(self, now: int) -> None:
        """Put on disk who is done; end the job when nothing of it is under way."""
        self.left -= len(self.finished)
        if self.running or self.passing:
            self.pass_.mark(self)
        else:
            self.pass_.end(self, now)


class Pass:
    """The passes of one channel, one at a time."""

    def __init__(self, state: State, schedule: Schedule, channel: Channel) -> None:
        self.state, self.schedule, self.channel = state, schedule, channel
        self.timetable = schedule.channels[channel.index]
        self.name = LOCAL_REMOTE[channel.index]
        self.job: Job | None = None
        self.recipients: Iterator[tuple[int, bytes]] = iter(())
        self.next = (0, b"")  # of them, while there is a job
        self.fd = -1

    # -- as a part of the loop -------------------------------------------------------------
    def wants(self, watch: Watch) -> None:
        if not self.state.leaving and self.channel.room():
            watch.until(AT_ONCE if self.job else self.timetable.soonest())

    def work(self, watch: Watch) -> None:
        """Begin as many deliveries as there is room for."""
        while not self.state.leaving and self.channel.room():
            if self.job is None:
                number = self.timetable.take(watch.now)
                if number is None:
                    break
                self._start(number, watch.now)
            else:
                self._step(self.job, watch.now)
        self.channel.flush()

    def _start(self, number: int, now: int) -> None:
        fresh = self.timetable.take_fresh(number)
        if fresh:
            sender, birth = fresh.sender, fresh.birth
            self.recipients = iter(fresh.recipients)
        else:
            try:
                sender, birth = read_info(number)
                self.fd = os.open(self.name(number), os.O_RDONLY | os.O_CLOEXEC)
            except (OSError, Damaged):
                self.state.log.warning(b"trouble opening %s; will try again later" % self.name(number))
                self.timetable.add(number, now + SYSTEM_FAILURE)
                return
            self.recipients = waiting(self.fd)
        self.timetable.working.add(number)
        retry = next_try(birth, now, self.channel.index)
        self.job = Job(self, number, sender, retry, now > birth + self.state.controls.lifetime)
        self._advance(self.job, now)

    def _step(self, job: Job, now: int) -> None:
        """Begin the delivery to the recipient that is next."""
        job.left += 1
        job.running += 1
        self.channel.begin(job, *self.next)
        self._advance(job, now)

    def _advance(self, job: Job, now: int) -> None:
        """Find out who is next, or end the pass."""
        try:
            following = next(self.recipients, None)
            if following:
                self.next = following
                return
            job.seen = True
        except OSError:
            self.state.log.warning(b"trouble reading %s; will try again later" % self.name(job.number))
        except Damaged:
            self.state.log.warning(b"unknown record type in %s!" % self.name(job.number))
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.job = None
        job.passing = False
        job.settle(now)

    # -- what becomes of a job ---------------------------------------------------------------
    def end(self, job: Job, now: int) -> None:
        """Nothing of *job* is under way: remove its file, or let the message wait."""
        self.timetable.working.discard(job.number)
        if job.left or not job.seen:
            self.mark(job)
            self.timetable.add(job.number, job.retry)
            return
        name = self.name(job.number)
        try:
            os.unlink(name)  # which says as much as a mark on each recipient
        except OSError:
            self.state.log.warning(b"unable to unlink %s; will try again later" % name)
            self.mark(job)
            self.timetable.add(job.number, now + SYSTEM_FAILURE)
            return
        other = LOCAL_REMOTE[1 - self.channel.index](job.number)
        try:
            if exists(other):
                return
        except OSError:
            self.state.log.warning(b"unable to stat " + other)
        self.schedule.done.add(job.number, AT_ONCE)

    def mark(self, job: Job) -> None:
        """Mark on disk those who are done."""
        if not job.finished:
            return
        name = self.name(job.number)
        try:
            mark(name, job.finished)
        except OSError:
            self.state.log.warning(b"trouble marking %s; message will be delivered twice!" % name)
        job.finished = []
