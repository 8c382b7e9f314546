"""One service's life: what is wanted of it, what it is, and what each event does.

    command          down, waiting        up                ending, finishing
    u   up           want it up; start    want it up        want it up: it starts afterwards
    o   once         want nothing; start  want nothing      want nothing; it starts afterwards
    d   down         want it down         want it down;     want it down
                                          TERM, then CONT
    x   exit         leave                leave when it     leave afterwards
                                          ends
    w   released     start, if waiting    wait no more      wait no more
    l   last         leave, but not       leave when it     leave afterwards, but not
                     before a log has     ends, but not     before a log has read all
                     read all there is    before that
    p   pause        -                    STOP              -
    c   continue     -                    CONT              -
    h a i t          -                    HUP ALRM INT TERM -
    k   kill         -                    KILL              KILL what has not ended

A byte that is not in the table means nothing.

When ./run ends, the service is *ending* as long as its tree has other processes and
`kill-tree` wants them ended too, then *finishing* as long as ./finish runs, then *down*.  It is
started again if it is wanted up.  Starts are at least a second apart: one that comes sooner is
kept until its second is over, unless `d` or `x` comes first.  A service that is to wait for
others does not start until they are ready, unless `u` or `o` comes first.  After `l`, a log that was
cut off is started again until its pipe is empty, unless it is wanted down.

Rule: nothing here knows a file, a process or a clock; they come in as `World`, and the
time with each event.
"""

from __future__ import annotations

import signal

from supervise.tree.servicedir import DOWN, ONCE, UP, Status
from supervise.tree.settings import ESSENTIAL, NOTHING
from supervise.tree.state import AT_LAST, AT_REST, ENDING, FINISHING, KILLED, LEAVING, RUNNING, UNSEEN, WAITING, code_of
from supervise.tree.world import NO_PROCESS, NO_PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.tree.state import State
    from supervise.tree.world import World

PAUSE = 1.0  # seconds from one start to the next
SECOND = 1_000_000_000  # nanoseconds
LONG_PAUSE = 60.0  # seconds after the machine had no process left for us; the longest wait after many deaths
SHORT_LIFE = 60.0  # seconds; a shorter one counts for max-death-tally
MOST_DOUBLINGS = 6  # of a wait, which is LONG_PAUSE then
GRACE = 5.0  # seconds from TERM to KILL for what ./run has left behind

CANNOT_RUN = 111  # the exit code of a ./run that could not be run
NEVER_AGAIN = 125  # exit code of ./finish: keep it down

RELEASED, LAST = b"w", b"l"
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
        self.phase = AT_REST
        self.waiting = waiting
        self.settings = NOTHING
        self.again = False  # it is to be started when it has ended
        self.leaving = b""  # supervise is to end with the service: LEAVING, AT_LAST, or ESSENTIAL, svscan too
        self.left = False
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

    def begin(self, now: float, since: int) -> None:
        """Start it, if it is wanted up."""
        if self.status.want == UP:
            self.start(now, since)
        self.world.announce(self)

    def take_over(self, found: State, alive: bool, now: float, since: int) -> None:
        """Go on where a supervise that was killed has stopped.

        Args:
            found: what it has left.
            alive: ./run or ./finish, whichever it left, is still there.
        """
        want = self.status.want
        before = found.status
        self.status = Status(before.since, before.pid, before.paused, want)
        self.starts, self.short_lives, self.ended = found.number(b"starts"), found.number(b"short"), found.ended
        self.leaving = found.lines.get(b"leaving", b"")
        self.code = code_of(self.ended or UNSEEN) if self.leaving == ESSENTIAL else 0
        self.again = want == UP
        self.started = now - (since - before.since) / SECOND
        self.rested = min(self.started, now) + PAUSE
        self.settings = self.world.settings()
        if found.word == RUNNING:
            self.phase, self.ready = RUNNING, found.ready_since
            if not alive:
                self.end(UNSEEN, now, since)
            elif want == DOWN:
                self.limit_down(now)
        elif found.word == ENDING:
            self.end_tree(now, since)
        elif found.word == FINISHING and alive:
            self.finish(found.number(b"finish"), now)
        elif found.word == FINISHING:
            self.rest(now, since)
        elif want == UP and found.next is not None and found.next > since:
            self.put_off(min((found.next - since) / SECOND, LONG_PAUSE), now, since)
        elif want == UP or self.leaving:
            self.start(now, since)
        self.world.announce(self)

    def start(self, now: float, since: int) -> None:
        """Start the service, at once or when it is time."""
        self.call_off()
        if self.waiting:
            self.phase = WAITING
            return
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

    @property
    def cut_off(self) -> bool:
        """Whether it is a log that is to leave, and has not read all there is."""
        killed = self.ended is not None and self.ended[0] in (KILLED, UNSEEN[0])
        return self.leaving == AT_LAST and self.status.want != DOWN and (killed or self.world.unread())

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
        self.ended, self.ready = ended, None
        self.again = want == UP
        self.short_lives = self.short_lives + 1 if now - self.started < SHORT_LIFE else 0
        self.settings = self.world.settings()
        if self.settings.essential and want != DOWN:
            self.leaving, self.code = ESSENTIAL, code_of(ended)
        self.end_tree(now, since)

    def end_tree(self, now: float, since: int) -> None:
        """End what ./run has left behind, if that is wanted."""
        if self.settings.kill_tree and self.world.sweep(signal.SIGTERM):
            self.phase = ENDING
            self.limit = now + (self.settings.kill_limit or GRACE)
        else:
            self.clean_up(now, since)

    def clean_up(self, now: float, since: int) -> None:
        """Run ./finish, if there is one."""
        pid = self.world.finish(self.ended or UNSEEN) if self.settings.finish else 0
        if pid:
            self.finish(pid, now)
        else:
            self.rest(now, since)

    def finish(self, pid: int, now: float) -> None:
        """Wait for the process of ./finish."""
        self.phase, self.finisher = FINISHING, pid
        self.limit = now + self.settings.finish_limit if self.settings.finish_limit else None

    def rest(self, now: float, since: int) -> None:
        """Be down, and up again if that is wanted."""
        self.phase, self.limit = AT_REST, None
        if self.cut_off:
            self.start(now, since)
        elif self.leaving:
            self.left = True
        elif self.again:
            too_many = self.short_lives - self.settings.deaths + 1 if self.settings.deaths else 0
            if too_many > 0:
                self.put_off(min(2.0 ** min(too_many, MOST_DOUBLINGS), LONG_PAUSE), now, since)
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
        self.status.want, self.waiting = UP, False
        self.start(now, since)

    def go_up_once(self, now: float, since: int) -> None:
        self.status.want, self.waiting = ONCE, False
        self.start(now, since)

    def stay_down(self, now: float, since: int) -> None:
        self.status.want = DOWN
        self.call_off()
        self.left = bool(self.leaving)

    def leave(self, now: float, since: int) -> None:
        self.call_off()
        self.left = True

    def leave_at_last(self, now: float, since: int) -> None:
        self.leaving = AT_LAST
        if self.phase == WAITING or self.due is not None:
            self.go_up_once(now, since)
        else:
            self.rest(now, since)

    def release(self, now: float, since: int) -> None:
        self.waiting = False
        if self.phase == WAITING:
            self.start(now, since)

    # -- while it is up --------------------------------------------------------------------
    def stay_up(self, now: float, since: int) -> None:
        self.status.want, self.waiting = UP, False

    def end_some_day(self, now: float, since: int) -> None:
        self.status.want = ONCE

    def go_down(self, now: float, since: int) -> None:
        self.status.want = DOWN
        self.world.kill(self.status.pid, signal.SIGTERM)
        self.go_on(now, since)  # a stopped process would not see the TERM
        self.settings = self.world.settings()
        self.limit_down(now)

    def limit_down(self, now: float) -> None:
        """Have it killed if it has not ended in time."""
        if self.settings.kill_limit and self.limit is None:
            self.limit = now + self.settings.kill_limit

    def leave_later(self, now: float, since: int) -> None:
        self.leaving = self.leaving or LEAVING

    def leave_when_all_is_read(self, now: float, since: int) -> None:
        self.leaving = self.leaving or AT_LAST

    def pause(self, now: float, since: int) -> None:
        self.status.paused = True
        self.world.kill(self.status.pid, signal.SIGSTOP)

    def go_on(self, now: float, since: int) -> None:
        self.status.paused = False
        self.world.kill(self.status.pid, signal.SIGCONT)

    # -- while it is ending or finishing -----------------------------------------------------
    def start_afterwards(self, now: float, since: int) -> None:
        self.status.want, self.again, self.waiting = UP, True, False

    def stay_down_afterwards(self, now: float, since: int) -> None:
        self.status.want, self.again = DOWN, False

    def start_once_afterwards(self, now: float, since: int) -> None:
        self.status.want, self.again, self.waiting = ONCE, True, False


if TYPE_CHECKING:
    Table = dict[bytes, Callable[[Service, float, int], None]]

WHILE_DOWN: Table = {
    b"u": Service.go_up,
    b"o": Service.go_up_once,
    b"d": Service.stay_down,
    b"x": Service.leave,
    LAST: Service.leave_at_last,
    RELEASED: Service.release,
}
WHILE_UP: Table = {
    b"u": Service.stay_up,
    b"o": Service.end_some_day,
    b"d": Service.go_down,
    b"x": Service.leave_later,
    LAST: Service.leave_when_all_is_read,
    b"p": Service.pause,
    b"c": Service.go_on,
    RELEASED: Service.release,
}
WHILE_ENDING: Table = {
    b"u": Service.start_afterwards,
    b"o": Service.start_once_afterwards,
    b"d": Service.stay_down_afterwards,
    b"x": Service.leave_later,
    LAST: Service.leave_when_all_is_read,
    b"k": Service.kill_rest,
    RELEASED: Service.release,
}
TABLE = {
    AT_REST: WHILE_DOWN,
    WAITING: WHILE_DOWN,
    RUNNING: WHILE_UP,
    ENDING: WHILE_ENDING,
    FINISHING: WHILE_ENDING,
}
