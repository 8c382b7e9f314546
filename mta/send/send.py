"""qmail-send - deliver messages from the queue

Usage: qmail-send

qmail-send takes up the messages that qmail-queue has put into the queue, has
them delivered by qmail-lspawn (on this machine) and qmail-rspawn (elsewhere),
tries again later what could not be delivered, tells the sender what failed for
good, and has qmail-clean remove what is done. qmail-start starts it with its
descriptors in place:

    0     its log goes there
    1, 2  to and from qmail-lspawn
    3, 4  to and from qmail-rspawn
    5, 6  to and from qmail-clean

It can be killed at any moment: nothing that was accepted is lost, and what was
being delivered is delivered again. When one of the three is gone, it ends too,
and expects to be started again.

Signals:
    ALRM  try everything that waits, now
    HUP   read locals, virtualdomains, concurrencylocal and concurrencyremote again
    TERM  begin nothing new, wait for the deliveries that run, leave

Exit status:
    0    told to leave, or left alone
    111  cannot start; the log says why

Environment:
    QMAILHOME   the home, /var/qmail by default
    QMAILQUEUE  the program that queues bounces

Files:
    control/locals          hosts whose mail is delivered here, one to a line; by default me
    control/virtualdomains  lines USER@HOST:PREPEND, HOST:PREPEND, .SUFFIX:PREPEND or :PREPEND: mail for that address,
                            host, hosts below it, or any host, goes to the local address PREPEND-USER@HOST; an
                            empty PREPEND makes an exception
    control/percenthack     hosts for which user%host@HOST means user@host
    control/    locals, virtualdomains, percenthack, envnoathost, me;
                concurrencylocal, concurrencyremote, queuelifetime;
                bouncefrom, bouncehost, doublebounceto, doublebouncehost
    queue/      todo, info, local, remote, bounce, mess
    queue/lock/sendmutex  held while it runs: there is only one
    queue/lock/trigger    a FIFO that wakes it

See also: qmail-start, qmail-lspawn, qmail-rspawn, qmail-clean, qmail-queue, qmail-qread
"""

from __future__ import annotations

import gc
import os
import signal

from mta import home
from mta.queue import layout
from mta.send.bounce import Notes
from mta.send.channel import Channel
from mta.send.cleaner import Cleaner, Leftovers
from mta.send.controls import Controls
from mta.send.finish import Finish
from mta.send.log import Log
from mta.send.passes import Pass
from mta.send.rewrite import LOCAL, REMOTE
from mta.send.schedule import Schedule
from mta.send.state import State
from mta.send.todo import Todo
from mta.send.watch import Watch
from supervise.command import Argv, command
from supervise.errors import TEMPORARY, Temporary, Usage
from supervise.files import lock
from supervise.loop import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Part(Protocol):
        """One concern of qmail-send."""

        def wants(self, watch: Watch) -> None:
            """Say which descriptors and which moment this part waits for."""

        def work(self, watch: Watch) -> None:
            """Do what is possible now, without waiting for anybody."""


LOG = 0
PIPES = {LOCAL: (1, 2), REMOTE: (3, 4)}  # by channel: requests, reports
CLEANER = (5, 6)


@command(b"qmail-send")
def main(argv: Argv) -> int:
    if len(argv) > 1:
        raise Usage
    log = Log(LOG)
    try:
        return Daemon(log).serve()
    except Temporary as trouble:
        log.alert(b"cannot start: " + trouble.line)
    except Exception as bug:  # descriptor 2 is a pipe; the log is where somebody reads it
        log.alert(b"bug: " + repr(bug).encode())
    return TEMPORARY


class Daemon:
    """qmail-send, made of its parts.

    Raises:
        Temporary: it cannot start.
    """

    def __init__(self, log: Log) -> None:
        try:
            home.enter()
        except Temporary:
            raise Temporary(b"unable to switch to home directory") from None
        try:
            self.state = state = State(log, Controls())
        except Temporary:
            raise Temporary(b"unable to read controls") from None
        try:
            home.enter(b"queue")
        except Temporary:
            raise Temporary(b"unable to switch to queue directory") from None
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.signals = Signals(signal.SIGTERM, signal.SIGALRM, signal.SIGHUP)
        os.umask(0o77)
        self.mutex = hold_mutex()
        self.schedule = schedule = Schedule(state)
        cleaner = Cleaner(state, *CLEANER)
        notes = Notes(state)
        for channel, (requests, reports) in PIPES.items():
            state.channels.append(Channel(state, notes, channel, requests, reports))
        self.parts: Sequence[Part] = (
            Orders(self.signals, state, schedule),
            cleaner,
            *state.channels,
            Todo(state, schedule, cleaner),
            schedule,
            *(Pass(state, schedule, channel) for channel in state.channels),
            Finish(state, schedule, cleaner),
            Leftovers(state, cleaner),
        )

    def serve(self) -> int:
        """Deliver until told to leave."""
        watch = Watch()
        self.schedule.load(watch.now)
        self.state.status()
        gc.freeze()
        while not self.may_leave():
            watch.start()
            for part in self.parts:
                part.wants(watch)
            self.state.log.flush()
            watch.wait()
            for part in self.parts:
                part.work(watch)
        self.schedule.save()
        self.state.log.exiting()
        self.state.log.flush()
        return 0

    def may_leave(self) -> bool:
        """Whether we are to leave and nothing runs; of a spawner that is gone we hear nothing more."""
        return self.state.leaving and not any(channel.alive and channel.running for channel in self.state.channels)


class Orders:
    """What signals tell us to do."""

    def __init__(self, signals: Signals, state: State, schedule: Schedule) -> None:
        self.signals, self.state, self.schedule = signals, state, schedule

    def wants(self, watch: Watch) -> None:
        watch.read(self.signals.fileno())

    def work(self, watch: Watch) -> None:
        arrived = self.signals.arrived()  # perhaps since the sleep ended, and still before what woke us
        if signal.SIGTERM in arrived:
            self.state.leaving = True
        if signal.SIGALRM in arrived:
            for timetable in self.schedule.channels:
                timetable.hurry(watch.now)
        if signal.SIGHUP in arrived:
            try:
                self.state.controls.reread()
            except Temporary as trouble:
                self.state.log.alert(trouble.line)


def hold_mutex() -> int:
    """Be the only qmail-send; the descriptor that says so."""
    try:
        return lock(layout.SENDMUTEX, wait=False)
    except BlockingIOError:
        raise Temporary(b"qmail-send is already running") from None
    except OSError:
        raise Temporary(b"unable to open mutex") from None
