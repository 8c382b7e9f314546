"""One service's life: what is wanted of it, what it is, and what each event does.

    event              while it is down              while it is up
    u   up             want it up; start             want it up
    o   once           want nothing; start           want nothing: it stays down when it ends
    d   down           want it down                  want it down; TERM, then CONT
    x   exit           leave                         leave when it ends
    p   pause          -                             STOP
    c   continue       -                             CONT
    h a i t k          -                             HUP, ALRM, INT, TERM, KILL
    died               -                             leave if asked to; start if wanted up

An event that is not in the table means nothing.  Starts are at least a second apart: one
that comes sooner is kept until its second is over, unless `d` or `x` comes first.

Rule: nothing here knows a file, a process or a clock; they come in as `World`, and the
time with each event.
"""

from __future__ import annotations

import signal

from supervise.tree.servicedir import DOWN, ONCE, UP, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class World(Protocol):
        """What a service does to the world."""

        def start(self) -> int:
            """Start the service; its pid, or 0 when no process can be made."""

        def kill(self, pid: int, number: int) -> None:
            """Send a signal to the service."""

        def announce(self, status: Status) -> None:
            """Tell everybody how the service is."""


PAUSE = 1.0  # seconds from one start to the next
LONG_PAUSE = 60.0  # seconds after the machine had no process left for us

DIED = b"died"
SIGNALS = {
    b"h": signal.SIGHUP,
    b"a": signal.SIGALRM,
    b"i": signal.SIGINT,
    b"t": signal.SIGTERM,
    b"k": signal.SIGKILL,
}


class Service:
    """One service.

    Args:
        world: what it acts on.
        want: UP or DOWN.
        since: nanoseconds since 1970, now.
    """

    def __init__(self, world: World, want: bytes, since: int) -> None:
        self.world = world
        self.status = Status(since, 0, False, want)
        self.leaving = False  # supervise is to end with the service
        self.left = False
        self.due: float | None = None  # when to start it, on the clock of `now`
        self.rested = 0.0  # no start before this

    def happen(self, event: bytes, now: float, since: int) -> None:
        """Do what *event* asks for.

        Args:
            event: a byte that was read from the control FIFO, or DIED.
            now: seconds on a clock that never goes back.
            since: the same moment in nanoseconds since 1970, for the status.
        """
        if self.status.pid and event in SIGNALS:
            self.world.kill(self.status.pid, SIGNALS[event])
            return
        action = (WHILE_UP if self.status.pid else WHILE_DOWN).get(event)
        if action:
            action(self, now, since)
            self.world.announce(self.status)

    def tick(self, now: float, since: int) -> None:
        """Start the service if it is time for that."""
        if self.due is not None and self.due <= now:
            self.start(now, since)
            self.world.announce(self.status)

    def start(self, now: float, since: int) -> None:
        """Start the service, at once or when it is time."""
        self.due = None
        if now < self.rested:
            self.due = self.rested
            return
        pid = self.world.start()
        if not pid:
            self.due = self.rested = now + LONG_PAUSE
            return
        self.rested = now + PAUSE
        self.status = Status(since, pid, False, self.status.want)

    # -- while it is down ------------------------------------------------------------------
    def go_up(self, now: float, since: int) -> None:
        self.status.want = UP
        self.start(now, since)

    def go_up_once(self, now: float, since: int) -> None:
        self.status.want = ONCE
        self.start(now, since)

    def stay_down(self, now: float, since: int) -> None:
        self.status.want = DOWN
        self.due = None

    def leave(self, now: float, since: int) -> None:
        self.due = None
        self.left = True

    # -- while it is up --------------------------------------------------------------------
    def stay_up(self, now: float, since: int) -> None:
        self.status.want = UP

    def end_some_day(self, now: float, since: int) -> None:
        self.status.want = ONCE

    def go_down(self, now: float, since: int) -> None:
        self.status.want = DOWN
        self.world.kill(self.status.pid, signal.SIGTERM)
        self.go_on(now, since)  # a stopped process would not see the TERM

    def leave_later(self, now: float, since: int) -> None:
        self.leaving = True

    def pause(self, now: float, since: int) -> None:
        self.status.paused = True
        self.world.kill(self.status.pid, signal.SIGSTOP)

    def go_on(self, now: float, since: int) -> None:
        self.status.paused = False
        self.world.kill(self.status.pid, signal.SIGCONT)

    def fall(self, now: float, since: int) -> None:
        self.status = Status(since, 0, False, self.status.want)
        if self.leaving:
            self.left = True
        elif self.status.want == UP:
            self.start(now, since)


if TYPE_CHECKING:
    Table = dict[bytes, Callable[[Service, float, int], None]]

WHILE_DOWN: Table = {
    b"u": Service.go_up,
    b"o": Service.go_up_once,
    b"d": Service.stay_down,
    b"x": Service.leave,
}
WHILE_UP: Table = {
    b"u": Service.stay_up,
    b"o": Service.end_some_day,
    b"d": Service.go_down,
    b"x": Service.leave_later,
    b"p": Service.pause,
    b"c": Service.go_on,
    DIED: Service.fall,
}
