"""What never happens to a service and what must, whatever comes in whatever order, and whenever supervise is killed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from supervise.tree.announcement import describe
from supervise.tree.folder import Folder
from supervise.tree.service import LAST, NEVER_AGAIN, PAUSE, RELEASED, Service
from supervise.tree.servicedir import DOWN, UP
from supervise.tree.settings import ESSENTIAL, Settings
from supervise.tree.state import AT_REST, ENDING, FINISHING, RUNNING, WAITING, State

SECOND = 1_000_000_000
ROUNDING = 0.001


class Killed(Exception):
    """supervise is no more."""


class Model:
    """Processes on paper, which do what tests let them do."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wishes = Settings()
        self.disk = State({})
        self.next_pid = 100
        self.held = self.run = self.finisher = 0  # processes that are there
        self.rest = False  # whether ./run has left others behind
        self.killed: set[int] = set()  # those that have been sent KILL
        self.sweeps = 0  # KILLs of the rest
        self.started = -10.0
        self.full = self.broken = self.pipe_holds = False
        self.calls_left: int | None = None  # before supervise is killed
        self.may_start: Callable[[], bool] = lambda: True

    def step(self) -> None:
        """Be killed, if it is time."""
        if self.calls_left is not None:
            if self.calls_left == 0:
                raise Killed
            self.calls_left -= 1

    def settings(self) -> Settings:
        return self.wishes

    def hold(self) -> int:
        self.next_pid += 1
        self.held = self.next_pid
        return self.held

    def start(self, settings: Settings) -> int:
        self.step()
        assert self.may_start(), "it is to wait"
        assert not (self.run or self.finisher or self.held), "two at once"
        assert not (self.rest and settings.kill_tree), "the last one's processes are still there"
        assert self.now - self.started >= PAUSE - ROUNDING, "too soon"
        if self.full:
            return 0
        if self.broken:
            return -1
        return self.hold()

    def finish(self, ended: tuple[int, int]) -> int:
        self.step()
        assert not (self.run or self.finisher or self.held), "two at once"
        return 0 if self.broken else self.hold()

    def unread(self) -> bool:
        self.step()
        return self.pipe_holds

    def kill(self, pid: int, number: int) -> None:
        self.step()
        assert pid in (self.run, self.finisher), "somebody else is killed"
        if number == 9:
            self.killed.add(pid)

    def sweep(self, number: int) -> bool:
        self.step()
        self.sweeps += number == 9
        return self.rest

    def announce(self, service: Service) -> None:
        self.step()
        identity = b"boot 1" if self.held or self.run or self.finisher else None
        around = SimpleNamespace(watcher=b"boot 2")
        folder = SimpleNamespace(identity=identity, notification_fd=None, tree=None, around=around)
        self.disk = State.parse(describe(cast(Folder, folder), service))
        if self.held and service.phase == RUNNING:
            self.run, self.held, self.started = self.held, 0, self.now
        elif self.held:
            self.finisher, self.held = self.held, 0
        self.step()


class Life:
    """A service, and the supervises that it has one after the other."""

    def __init__(self, waiting: bool, kill_tree: bool) -> None:
        self.model = Model()
        self.model.wishes.kill_tree = kill_tree
        self.waiting = waiting
        self.released = not waiting  # since this supervise has come
        self.told_to_leave = False
        self.model.may_start = lambda: self.released
        self.service = Service(self.model, UP, self.since, waiting)
        self.service.begin(self.model.now, self.since)

    @property
    def since(self) -> int:
        return int(self.model.now * SECOND)

    def happen(self, event: tuple[str, object]) -> None:
        """Let one thing happen."""
        name, value = event
        if name == "doom":
            self.model.calls_left = cast(int, value)
            return
        try:
            getattr(self, name)(value)
            if self.model.calls_left == 0:
                raise Killed
        except Killed:
            self.next_supervise()
        self.check()

    def next_supervise(self) -> None:
        """A supervise has been killed, and the next one has come."""
        model = self.model
        model.calls_left = None
        model.held = 0  # never let go
        self.released = not self.waiting
        if self.service.left and not model.disk.watched:
            return
        model.now += 0.01
        found = model.disk
        alive = {RUNNING: model.run, FINISHING: model.finisher}.get(found.word, 0)
        assert alive == found.number(b"pid") or not alive or alive == found.number(b"finish")
        self.service = Service(model, found.want, self.since, self.waiting)
        self.service.take_over(found, bool(alive), model.now, self.since)

    # -- what may happen -----------------------------------------------------------------------
    def command(self, letter: bytes) -> None:
        self.told_to_leave |= letter in (b"x", LAST)
        self.released |= letter in (b"u", b"o", RELEASED, LAST)
        if not self.service.left:
            self.service.happen(letter, self.model.now, self.since)

    def wait(self, seconds: float) -> None:
        end = self.model.now + seconds
        while not self.service.left and self.service.next is not None and self.service.next <= end:
            self.model.now = max(self.model.now, self.service.next)
            limited = self.service.limit is not None and self.service.limit <= self.model.now
            phase, sweeps, pid = self.service.phase, self.model.sweeps, self.model.run or self.model.finisher
            self.service.tick(self.model.now, self.since)
            if limited:
                assert self.model.sweeps > sweeps if phase == ENDING else pid in self.model.killed, "no KILL"
        self.model.now = max(self.model.now, end)

    def end(self, code: int) -> None:
        """./run or ./finish ends."""
        if self.model.run:
            self.model.run = 0
            self.service.died((code, 0), self.model.now, self.since)
        elif self.model.finisher:
            self.model.finisher = 0
            self.service.finished(code, self.model.now, self.since)

    def leave_behind(self, value: object) -> None:
        """./run starts something."""
        self.model.rest = self.model.rest or self.model.run != 0

    def fill(self, holds: bool) -> None:
        """There is something in the pipe from the service to its log, or there is not."""
        self.model.pipe_holds = holds

    def vanish(self, value: object) -> None:
        """What ./run has left behind ends."""
        self.model.rest = False
        if self.service.phase == ENDING:
            self.service.swept(self.model.now, self.since)

    def wish(self, wishes: Settings) -> None:
        wishes.kill_tree = self.model.wishes.kill_tree  # what runs is in its tree, or it is not
        self.model.wishes = wishes

    def machine(self, how: tuple[bool, bool]) -> None:
        self.model.full, self.model.broken = how

    # -- what must be so -------------------------------------------------------------------------
    def check(self) -> None:
        service, model = self.service, self.model
        assert (service.status.pid != 0) == (service.phase == RUNNING)
        assert service.status.pid == model.run
        assert (service.phase == FINISHING) == (model.finisher != 0)
        assert not model.held, "nobody lets it go"
        assert service.due is None or service.phase == AT_REST
        assert service.phase != WAITING or self.waiting
        if service.left:
            assert self.told_to_leave or service.leaving == ESSENTIAL
            assert service.phase == AT_REST
            assert not model.disk.watched

    def settle(self) -> None:
        """Let time pass on a machine that works, where what gets KILL ends."""
        self.model.calls_left = None
        self.machine((False, False))
        self.fill(False)
        for _ in range(10):
            if self.service.left:
                break
            if self.service.phase == ENDING:
                self.vanish(None)
            if self.service.phase == FINISHING or (self.service.phase == RUNNING and self.service.leaving):
                self.end(0)
            self.wait(70.0)
            self.check()


def a_life(events: list[tuple[str, object]], waiting: bool, kill_tree: bool) -> Life:
    life = Life(waiting, kill_tree)
    for event in events:
        if not life.service.left:
            life.happen(event)
    return life


def wishes(finish: bool, essential: bool, limits: bool, deaths: int) -> Settings:
    found = Settings()
    found.finish, found.essential, found.deaths = finish, essential, deaths
    found.kill_limit = found.finish_limit = 3.0 if limits else None
    return found


BOOL = st.booleans()
SETTINGS = st.builds(wishes, BOOL, st.just(False) | BOOL, BOOL, st.sampled_from([0, 0, 1, 3]))
COMMANDS = [b"u", b"d", b"o", b"p", b"c", b"k", b"t", b"u", b"d", b"?", RELEASED]
EVENT = st.one_of(
    st.tuples(st.just("command"), st.sampled_from(COMMANDS)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.3, 1.0, 4.0, 70.0])),
    st.tuples(st.just("end"), st.sampled_from([0, 1, 111, NEVER_AGAIN])),
    st.tuples(st.just("leave_behind"), st.none()),
    st.tuples(st.just("vanish"), st.none()),
    st.tuples(st.just("wish"), SETTINGS),
    st.tuples(st.just("fill"), BOOL),
    st.tuples(st.just("machine"), st.tuples(BOOL, BOOL)),
    st.tuples(st.just("doom"), st.integers(0, 6)),
)
EVENTS = st.lists(EVENT, max_size=60)


@settings(max_examples=500, deadline=None)
@given(EVENTS, BOOL, BOOL)
def test_there_is_never_more_than_one_and_it_starts_when_it_may(
    events: list[tuple[str, object]], waiting: bool, kill_tree: bool
) -> None:
    a_life(events, waiting, kill_tree)


@settings(max_examples=500, deadline=None)
@given(EVENTS, st.sampled_from([b"x", LAST]), EVENTS, BOOL)
def test_it_is_left_when_it_has_ended_after_x(
    before: list[tuple[str, object]], leave: bytes, after: list[tuple[str, object]], kill_tree: bool
) -> None:
    life = a_life([*before, ("doom", None), ("command", leave), *after, ("doom", None), ("end", 0)], False, kill_tree)
    life.settle()
    assert life.service.left


@settings(max_examples=500, deadline=None)
@given(EVENTS, BOOL)
def test_what_is_wanted_up_comes_up_in_the_end_and_what_is_not_stays_down(
    events: list[tuple[str, object]], kill_tree: bool
) -> None:
    life = a_life(events, False, kill_tree)
    if life.service.left:
        return
    life.happen(("doom", None))
    life.wish(Settings())
    life.happen(("command", b"u"))
    life.settle()
    assert life.service.left or life.service.phase == RUNNING
    if life.service.left:
        return
    life.happen(("command", b"d"))
    life.happen(("end", 0))
    life.settle()
    assert life.service.left or (life.service.phase == AT_REST and life.service.status.want == DOWN)
