"""One service's life: what is wanted of it, what it is, and what each event does.

    command          down, waiting        up                ending, finishing
    u   up           want it up; start    want it up        want it up: it starts afterwards
    o   once         want nothing; start  want nothing      want nothing; it starts afterwards
    d   down         want it down         want it down;     want it down
                                          TERM, then CONT
    x   exit         leave                leave when it     leave afterwards
                                          ends
    w   released     start, if waiting    -                 -
    p   pause        -                    STOP              -
    c   continue     -                    CONT              -
    h a i t          -                    HUP ALRM INT TERM -
    k   kill         -                    KILL              KILL what has not ended

A byte that is not in the table means nothing.

When ./run ends, the service is *ending* as long as its tree has other processes and
`kill-tree` wants them ended too, then *finishing* as long as ./finish runs, then *down*.  It is
started again if it is wanted up.  Starts are at least a second apart: one that comes sooner is
kept until its second is over, unless `d` or `x` comes first.

Rule: nothing here knows a file, a process or a clock; they come in as `World`, and the
time with each event.
"""

from __future__ import annotations

import signal

from supervise.tree.servicedir import DOWN, ONCE, UP, Status
from supervise.tree.settings import NOTHING
from supervise.tree.state import AT_REST, ENDING, FINISHING, KILLED, RUNNING, UNSEEN, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from supervise.tree.settings import Settings
    from supervise.tree.state import State

    class World(Protocol):
        """What a service does to the world."""

        def settings(self) -> Settings:
            """What the service directory says now."""

        def start(self, settings: Settings) -> int:
            """Start ./run; its pid, NO_PROCESS when none can be made, or NO_PROGRAM when it cannot be run."""

        def finish(self, ended: tuple[int, int]) -> int:
            """Start ./finish with the exit code and the signal of ./run; its pid, or 0 when it cannot be run."""

        def kill(self, pid: int, number: int) -> None:
            """Send a signal to ./run or ./finish."""

        def sweep(self, number: int) -> bool:
            """Send a signal to whatever ./run has left behind; whether there is anything."""

        def announce(self, service: Service) -> None:
            """Tell everybody how the service is."""


PAUSE = 1.0  # seconds from one start to the next
SECOND = 1_000_000_000  # nanoseconds
LONG_PAUSE = 60.0  # seconds after the machine had no process left for us; the longest wait after many deaths
SHORT_LIFE = 60.0  # seconds; a shorter one counts for max-death-tally
GRACE = 5.0  # seconds from TERM to KILL for what ./run has left behind

NO_PROCESS, NO_PROGRAM = 0, -1  # instead of a pid
CANNOT_RUN = 111  # the exit code of a ./run that could not be run
NEVER_AGAIN = 125  # exit code of ./finish: keep it down

RELEASED = b"w"
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
        waiting: it is to be started when others are ready.
    """

    def __init__(self, world: World, want: bytes, since: int, waiting: bool = False) -> None:
        self.world = world
        self.status = Status(since, 0, False, want)
        self.phase = WAITING if waiting and want == UP else AT_REST
        self.settings = NOTHING
        self.again = False  # it is to be started when it has ended
        self.leaving = False  # supervise is to end with the service
        self.left = False
        self.essential_ended = False  # svscan is to end with it
        self.code = 0  # what supervise is to exit with
        self.due: float | None = None  # when to start it, on the clock of `now`
        self.next_start: int | None = None  # the same in nanoseconds since 1970, when it has been put off
        self.rested = 0.0  # no start before this
        self.limit: float | None = None  # when to kill what should have ended by then
        self.started = 0.0
        self.starts = 0
        self.short_lives = 0  # in a row
        self.ready: int | None = None  # when it said that it is ready, in nanoseconds since 1970
        self.ended: tuple[int, int] | None = None  # exit code and signal of the last end
        self.finisher = 0  # the process of ./finish

    def happen(self, event: bytes, now: float, since: int) -> None:
        """Do what *event* asks for.

        Args:
            event: a byte that was read from the control FIFO.
            now: seconds on a clock that never goes back.
            since: the same moment in nanoseconds since 1970, for the status.
        """
        if self.phase == RUNNING and event in SIGNALS:
            self.world.kill(self.status.pid, SIGNALS[event])
            return
        action = TABLE[self.phase].get(event)
        if action:
            action(self, now, since)
            self.world.announce(self)

    def tick(self, now: float, since: int) -> None:
        """Do what it is time for."""
        if self.limit is not None and self.limit <= now:
            self.kill_rest(now, since)
        if self.due is not None and self.due <= now:
            self.start(now, since)
            self.world.announce(self)

    @property
    def next(self) -> float | None:
        """When `tick` has something to do; None: only when something else has happened."""
        return min((moment for moment in (self.due, self.limit) if moment is not None), default=None)

    def start(self, now: float, since: int) -> None:
        """Start the service, at once or when it is time."""
        self.call_off()
        if now < self.rested:
            self.due = self.rested
            return
        self.settings = self.world.settings()
        pid = self.world.start(self.settings)
        if pid == NO_PROCESS:
            self.put_off(LONG_PAUSE, now, since)
            self.rested = now + LONG_PAUSE
            return
        self.rested = now + PAUSE
        self.started = now
        self.starts += 1
        if pid == NO_PROGRAM:
            self.end((CANNOT_RUN, 0), now, since)
            return
        self.phase = RUNNING
        self.status = Status(since, pid, False, self.status.want)

    def take_over(self, status: Status, state: State) -> None:
        """Go on with a service that runs, as a supervise that is gone has left it."""
        self.status, self.starts, self.ready, self.ended = (
            status,
            state.number(b"starts"),
            state.ready_since,
            state.ended,
        )
        self.phase = RUNNING
        self.settings = self.world.settings()

    # -- what the world tells ----------------------------------------------------------------
    def announce_ready(self, now: float, since: int) -> None:
        """It has said that it is ready."""
        self.ready = since
        self.world.announce(self)

    def died(self, ended: tuple[int, int], now: float, since: int) -> None:
        """./run has ended: exit code and signal."""
        self.end(ended, now, since)
        self.world.announce(self)

    def swept(self, now: float, since: int) -> None:
        """Nothing that ./run has left behind is there any more."""
        self.clean_up(now, since)
        self.world.announce(self)

    def finished(self, code: int, now: float, since: int) -> None:
        """./finish has ended."""
        self.finisher = 0
        if code == NEVER_AGAIN:
            self.stay_down_afterwards(now, since)
        self.rest(now, since)
        self.world.announce(self)

    # -- from the end to the next start ----------------------------------------------------------
    def end(self, ended: tuple[int, int], now: float, since: int) -> None:
        """./run is no more."""
        want = self.status.want
        self.status = Status(since, 0, False, want)
        self.ended, self.ready, self.limit = ended, None, None
        self.again = want == UP
        self.short_lives = self.short_lives + 1 if now - self.started < SHORT_LIFE else 0
        self.settings = self.world.settings()
        if self.settings.essential and want != DOWN:
            self.leaving, self.essential_ended, self.code = True, True, code_of(ended)
        if self.settings.kill_tree and self.world.sweep(signal.SIGTERM):
            self.phase = ENDING
            self.limit = now + (self.settings.kill_limit or GRACE)
        else:
            self.clean_up(now, since)

    def clean_up(self, now: float, since: int) -> None:
        """Run ./finish, if there is one."""
        self.limit = None
        self.finisher = self.world.finish(self.ended or UNSEEN) if self.settings.finish else 0
        if self.finisher:
            self.phase = FINISHING
            if self.settings.finish_limit:
                self.limit = now + self.settings.finish_limit
        else:
            self.rest(now, since)

    def rest(self, now: float, since: int) -> None:
        """Be down, and up again if that is wanted."""
        self.phase, self.limit = AT_REST, None
        if self.leaving:
            self.left = True
        elif self.again:
            too_many = self.short_lives - self.settings.deaths + 1 if self.settings.deaths else 0
            if too_many > 0:
                self.put_off(min(2.0**too_many, LONG_PAUSE), now, since)
            else:
                self.start(now, since)

    def put_off(self, seconds: float, now: float, since: int) -> None:
        """Start the service later."""
        self.due, self.next_start = now + seconds, since + int(seconds * SECOND)

    def call_off(self) -> None:
        """Be down, and have no start before us."""
        self.phase, self.due, self.next_start, self.again = AT_REST, None, None, False

    def kill_rest(self, now: float, since: int) -> None:
        """Kill what should have ended by now."""
        self.limit = None
        if self.phase == RUNNING:
            self.world.kill(self.status.pid, signal.SIGKILL)
        elif self.phase == FINISHING:
            self.world.kill(self.finisher, signal.SIGKILL)
        elif self.phase == ENDING:
            self.world.sweep(signal.SIGKILL)
            self.limit = now + PAUSE  # for what was forked meanwhile

    # -- while it is down ------------------------------------------------------------------
    def go_up(self, now: float, since: int) -> None:
        self.status.want = UP
        self.start(now, since)

    def go_up_once(self, now: float, since: int) -> None:
        self.status.want = ONCE
        self.start(now, since)

    def stay_down(self, now: float, since: int) -> None:
        self.status.want = DOWN
        self.call_off()

    def leave(self, now: float, since: int) -> None:
        self.call_off()
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
        self.settings = self.world.settings()
        if self.settings.kill_limit and self.limit is None:
            self.limit = now + self.settings.kill_limit

    def leave_later(self, now: float, since: int) -> None:
        self.leaving = True

    def pause(self, now: float, since: int) -> None:
        self.status.paused = True
        self.world.kill(self.status.pid, signal.SIGSTOP)

    def go_on(self, now: float, since: int) -> None:
        self.status.paused = False
        self.world.kill(self.status.pid, signal.SIGCONT)

    # -- while it is ending or finishing -----------------------------------------------------
    def start_afterwards(self, now: float, since: int) -> None:
        self.status.want, self.again = UP, True

    def stay_down_afterwards(self, now: float, since: int) -> None:
        self.status.want, self.again = DOWN, False

    def start_once_afterwards(self, now: float, since: int) -> None:
        self.status.want, self.again = ONCE, True


def code_of(ended: tuple[int, int]) -> int:
    """The exit code that tells an end to a parent, as a shell does."""
    code, number = ended
    return 128 + number if code == KILLED else code if code >= 0 else CANNOT_RUN


if TYPE_CHECKING:
    Table = dict[bytes, Callable[[Service, float, int], None]]

WHILE_DOWN: Table = {
    b"u": Service.go_up,
    b"o": Service.go_up_once,
    b"d": Service.stay_down,
    b"x": Service.leave,
}
WHILE_WAITING: Table = {**WHILE_DOWN, RELEASED: Service.start}
WHILE_UP: Table = {
    b"u": Service.stay_up,
    b"o": Service.end_some_day,
    b"d": Service.go_down,
    b"x": Service.leave_later,
    b"p": Service.pause,
    b"c": Service.go_on,
}
WHILE_ENDING: Table = {
    b"u": Service.start_afterwards,
    b"o": Service.start_once_afterwards,
    b"d": Service.stay_down_afterwards,
    b"x": Service.leave_later,
    b"k": Service.kill_rest,
}
TABLE = {
    AT_REST: WHILE_DOWN,
    WAITING: WHILE_WAITING,
    RUNNING: WHILE_UP,
    ENDING: WHILE_ENDING,
    FINISHING: WHILE_ENDING,
}
