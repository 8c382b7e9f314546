"""One service's life, without processes and with a clock of our own."""

from __future__ import annotations

import signal

import pytest

from supervise.tree.service import SIGNALS, Service
from supervise.tree.servicedir import DOWN, ONCE, UP
from supervise.tree.settings import ESSENTIAL, Settings
from supervise.tree.state import AT_REST, ENDING, FINISHING, KILLED, RUNNING, UNSEEN, WAITING, State
from supervise.tree.world import NO_PROCESS, NO_PROGRAM

SECOND = 1_000_000_000
DIED, SWEPT, FINISHED = b"died", b"swept", b"finished"


class Paper:
    """A world on paper: what was done to it stands in `done`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.announced: list[tuple[int, bytes]] = []
        self.next = 100
        self.full = self.missing = False
        self.wishes = Settings()
        self.left = self.full_pipe = False

    def settings(self) -> Settings:
        return self.wishes

    def start(self, settings: Settings) -> int:
        self.done.append("start")
        if self.full or self.missing:
            return NO_PROCESS if self.full else NO_PROGRAM
        self.next += 1
        return self.next

    def unread(self) -> bool:
        return self.full_pipe

    def kill(self, pid: int, number: int) -> None:
        self.done.append(f"{signal.Signals(number).name} {pid}")

    def finish(self, ended: tuple[int, int]) -> int:
        self.done.append("finish %d %d" % ended)
        return 9

    def sweep(self, number: int) -> bool:
        if self.left:
            self.done.append(f"{signal.Signals(number).name} to the tree")
        return self.left

    def announce(self, service: Service) -> None:
        self.announced.append((service.status.pid, service.status.want))


class Life:
    """A service whose events come one a day, unless told otherwise."""

    def __init__(self, want: bytes = UP, waiting: bool = False, **wishes: object) -> None:
        self.paper = Paper()
        for name, value in wishes.items():
            setattr(self.paper.wishes, name, value)
        self.service = Service(self.paper, want, 0, waiting)
        self.now = 1.0
        self.ended = (0, 0)  # how ./run and ./finish end

    def happen(self, *events: bytes, after: float = 86_400.0) -> list[str]:
        """Let *events* happen; what that did to the world."""
        self.paper.done.clear()
        for event in events:
            self.now += after
            moment = self.now, int(self.now * SECOND)
            if event == DIED:
                self.service.died(self.ended, *moment)
            elif event == SWEPT:
                self.service.swept(*moment)
            elif event == FINISHED:
                self.service.finished(self.ended[0], *moment)
            else:
                self.service.happen(event, *moment)
        return self.paper.done.copy()

    def tick(self, after: float) -> list[str]:
        self.paper.done.clear()
        self.now += after
        self.service.tick(self.now, int(self.now * SECOND))
        return self.paper.done.copy()


def test_up_means_starting_it_again_and_again() -> None:
    life = Life()
    assert life.happen(b"u") == ["start"]
    assert life.happen(DIED) == ["start"]
    assert life.happen(b"u") == []
    assert life.service.status.want == UP


def test_down_means_term_then_cont_and_no_more_starts() -> None:
    life = Life()
    life.happen(b"u")
    assert life.happen(b"d") == ["SIGTERM 101", "SIGCONT 101"]
    assert life.happen(DIED) == []
    assert life.paper.announced[-2:] == [(101, DOWN), (0, DOWN)]


def test_once_means_no_more_than_one_start() -> None:
    life = Life(DOWN)
    assert life.happen(b"o") == ["start"]
    assert life.happen(DIED) == []
    assert life.paper.announced[-1] == (0, ONCE)
    assert life.happen(b"o") == ["start"]


def test_once_while_it_is_up_lets_it_run_to_its_end() -> None:
    life = Life()
    assert life.happen(b"u", b"o") == ["start"]
    assert life.happen(DIED) == []


def test_exit_waits_for_the_end_of_what_is_up() -> None:
    life = Life()
    life.happen(b"u", b"x")
    assert not life.service.left
    assert life.happen(DIED) == []
    assert life.service.left


def test_exit_leaves_at_once_what_is_down() -> None:
    life = Life(DOWN)
    life.happen(b"x")
    assert life.service.left


@pytest.mark.parametrize(("event", "number"), SIGNALS.items())
def test_signals_go_to_what_is_up_and_nowhere_else(event: bytes, number: int) -> None:
    life = Life(DOWN)
    assert life.happen(event) == []
    life.happen(b"u")
    assert life.happen(event) == [f"{signal.Signals(number).name} 101"]


def test_paused_is_known_until_it_goes_on_or_ends() -> None:
    life = Life()
    assert life.happen(b"u", b"p") == ["start", "SIGSTOP 101"]
    assert life.service.status.paused
    assert life.happen(b"c") == ["SIGCONT 101"]
    assert not life.service.status.paused
    life.happen(b"p", b"d")
    assert not life.service.status.paused
    life.happen(b"p", DIED)
    assert not life.service.status.paused


def test_bytes_that_mean_nothing_change_nothing() -> None:
    life = Life()
    life.happen(b"u")
    said = len(life.paper.announced)
    assert life.happen(b"?", b"\0", b"\n", b"U") == []
    assert len(life.paper.announced) == said


def test_starts_are_a_second_apart() -> None:
    life = Life()
    life.happen(b"u")
    assert life.happen(DIED, after=0.3) == []
    assert life.tick(after=0.6) == []
    assert life.tick(after=0.2) == ["start"]
    assert life.service.due is None


def test_its_death_is_known_while_the_next_start_waits() -> None:
    life = Life()
    life.happen(b"u")
    life.happen(DIED, after=0.3)
    assert life.paper.announced[-1] == (0, UP)


@pytest.mark.parametrize("event", [b"d", b"x"])
def test_a_start_that_waits_can_be_called_off(event: bytes) -> None:
    life = Life()
    life.happen(b"u")
    life.happen(DIED, event, after=0.1)
    assert life.tick(after=10) == []


def test_once_while_a_start_waits_is_that_start() -> None:
    life = Life()
    life.happen(b"u")
    life.happen(DIED, b"o", after=0.1)
    assert life.tick(after=1) == ["start"]
    assert life.happen(DIED) == []


def test_a_machine_without_room_is_tried_again_after_a_minute() -> None:
    life = Life()
    life.paper.full = True
    assert life.happen(b"u") == ["start"]
    assert life.tick(after=59) == []
    life.paper.full = False
    assert life.tick(after=2) == ["start"]
    assert life.service.status.pid == 101


def test_the_status_says_since_when() -> None:
    life = Life()
    life.happen(b"u")
    began = life.service.status.since
    life.happen(b"p", b"c", b"o")
    assert life.service.status.since == began == int(86_401.0 * SECOND)
    life.happen(DIED)
    assert life.service.status.since == int(life.now * SECOND)


def test_after_a_last_life_it_is_left() -> None:
    life = Life()
    life.happen(b"u", b"l")
    assert not life.service.left
    assert life.happen(DIED) == []
    assert life.service.left


def test_a_last_life_that_is_due_comes_first() -> None:
    life = Life()
    life.happen(b"u")
    life.happen(DIED, b"l", after=0.1)
    assert not life.service.left
    assert life.tick(after=1) == ["start"]
    assert life.happen(DIED) == []
    assert life.service.left


def reading_life() -> Life:
    """The life of a log that is up and to leave when it has read all there is."""
    life = Life()
    life.happen(b"u", b"l")
    return life


@pytest.mark.parametrize("ended", [(KILLED, signal.SIGKILL), UNSEEN])
def test_a_log_that_was_cut_off_has_one_more_life(ended: tuple[int, int]) -> None:
    life = reading_life()
    life.ended = ended
    assert life.happen(DIED) == ["start"]
    life.ended = (0, 0)
    assert life.happen(DIED) == []
    assert life.service.left


def test_a_log_lives_on_until_its_pipe_is_empty() -> None:
    life = reading_life()
    life.paper.full_pipe = True
    assert life.happen(DIED) == ["start"]
    assert life.happen(DIED, after=0.1) == []
    assert not life.service.left
    assert life.tick(after=1) == ["start"]
    life.paper.full_pipe = False
    assert life.happen(DIED) == []
    assert life.service.left


@pytest.mark.parametrize("events", [[DIED, b"d"], [b"d", DIED]])
def test_a_log_that_is_wanted_down_is_left_whatever_its_pipe_holds(events: list[bytes]) -> None:
    life = Life()
    life.happen(b"u")
    life.paper.full_pipe = True
    assert "start" not in life.happen(b"l", *events, after=0.1)
    assert life.service.left


def test_a_log_that_has_just_been_put_down_stays_down_whatever_its_pipe_holds() -> None:
    life = Life()
    life.paper.full_pipe = True
    life.happen(b"u", b"d", DIED)
    assert life.happen(b"l") == []
    assert life.service.left


def test_what_is_down_has_no_last_life() -> None:
    life = Life(DOWN)
    assert life.happen(b"l") == []
    assert life.service.left


# -- waiting for others ----------------------------------------------------------------------------


def waiting_life() -> Life:
    life = Life(waiting=True)
    life.service.begin(1.0, SECOND)
    assert life.service.phase == WAITING
    return life


def test_who_is_to_wait_starts_when_it_is_released() -> None:
    life = waiting_life()
    assert life.tick(after=3600) == []
    assert life.happen(b"w") == ["start"]
    assert life.happen(DIED) == ["start"]


@pytest.mark.parametrize(("letter", "want"), [(b"u", UP), (b"o", ONCE)])
def test_who_waits_can_be_started_by_hand(letter: bytes, want: bytes) -> None:
    life = waiting_life()
    assert life.happen(letter) == ["start"]
    assert life.service.status.want == want


def test_who_waits_and_is_no_longer_wanted_is_not_released() -> None:
    life = waiting_life()
    assert life.happen(b"d", b"w") == []
    assert life.service.phase == AT_REST
    assert life.happen(b"u") == ["start"]


def test_who_waits_can_have_a_last_life() -> None:
    life = waiting_life()
    assert life.happen(b"l") == ["start"]
    life.happen(DIED)
    assert life.service.left


def test_who_waits_can_be_left() -> None:
    life = waiting_life()
    life.happen(b"x")
    assert life.service.left


def test_who_waits_hears_no_signals() -> None:
    assert waiting_life().happen(*SIGNALS, b"p", b"c") == []


def test_who_is_wanted_down_does_not_wait() -> None:
    life = Life(DOWN, waiting=True)
    life.service.begin(1.0, SECOND)
    assert life.service.phase == AT_REST
    assert life.happen(b"w") == []
    assert life.happen(b"u") == ["start"]


# -- a tree that ends ------------------------------------------------------------------------------


def ending_life(**wishes: object) -> Life:
    life = Life(kill_tree=True, **wishes)
    life.happen(b"u")
    life.paper.left = True
    assert life.happen(DIED) == ["SIGTERM to the tree"]
    assert life.service.phase == ENDING
    assert life.service.status.pid == 0
    return life


def test_what_run_has_left_behind_ends_before_the_next_start() -> None:
    life = ending_life()
    assert life.tick(after=4) == []
    life.paper.left = False
    assert life.happen(SWEPT, after=0.1) == ["start"]


@pytest.mark.parametrize(("limit", "seconds"), [(None, 5), (20.0, 20)])
def test_what_does_not_end_is_killed_again_and_again(limit: float | None, seconds: float) -> None:
    life = ending_life(kill_limit=limit)
    assert life.tick(after=seconds - 1) == []
    assert life.tick(after=1.1) == ["SIGKILL to the tree"]
    assert life.tick(after=0.5) == []
    assert life.tick(after=0.6) == ["SIGKILL to the tree"]


def test_a_tree_can_be_killed_at_once() -> None:
    assert ending_life().happen(b"k") == ["SIGKILL to the tree"]


@pytest.mark.parametrize("letter", [b"h", b"a", b"i", b"t", b"p", b"c"])
def test_other_signals_do_not_go_to_what_is_left_behind(letter: bytes) -> None:
    assert ending_life().happen(letter) == []


@pytest.mark.parametrize(("letters", "starts"), [((b"d",), []), ((b"d", b"u"), ["start"]), ((b"d", b"o"), ["start"])])
def test_what_is_wanted_while_it_ends_happens_afterwards(letters: tuple[bytes, ...], starts: list[str]) -> None:
    life = ending_life()
    assert life.happen(*letters) == []
    life.paper.left = False
    assert life.happen(SWEPT) == starts
    assert life.happen(DIED) == (starts if b"o" not in letters else []) if starts else True


def test_it_is_left_when_its_tree_has_ended() -> None:
    life = ending_life()
    life.happen(b"x")
    assert not life.service.left
    life.happen(SWEPT)
    assert life.service.left


def test_nothing_left_behind_is_nothing_to_wait_for() -> None:
    life = Life(kill_tree=True)
    assert life.happen(b"u", DIED) == ["start", "start"]


# -- ./finish --------------------------------------------------------------------------------------


def finishing_life(**wishes: object) -> Life:
    life = Life(finish=True, **wishes)
    life.ended = (KILLED, 9)
    life.happen(b"u")
    assert life.happen(DIED) == ["finish 256 9"]
    assert life.service.phase == FINISHING
    life.ended = (0, 0)
    return life


def test_finish_runs_between_two_lives() -> None:
    assert finishing_life().happen(FINISHED) == ["start"]


def test_finish_runs_when_the_tree_has_ended() -> None:
    life = ending_life(finish=True)
    life.paper.left = False
    assert life.happen(SWEPT) == ["finish 0 0"]
    assert life.happen(FINISHED) == ["start"]


def test_a_finish_that_takes_too_long_is_killed() -> None:
    life = finishing_life(finish_limit=5.0)
    assert life.tick(after=4) == []
    assert life.tick(after=2) == ["SIGKILL 9"]
    assert life.tick(after=100) == []
    assert life.happen(FINISHED) == ["start"]


def test_a_finish_without_a_limit_takes_its_time() -> None:
    life = finishing_life()
    assert life.tick(after=1e6) == []
    assert life.happen(b"k") == ["SIGKILL 9"]


def test_a_finish_that_exits_125_keeps_the_service_down() -> None:
    life = finishing_life()
    life.ended = (125, 0)
    assert life.happen(FINISHED) == []
    assert life.paper.announced[-1] == (0, DOWN)
    assert life.happen(b"u") == ["start"]


@pytest.mark.parametrize(("letters", "starts"), [((b"d",), []), ((b"d", b"u"), ["start"]), ((b"d", b"o"), ["start"])])
def test_what_is_wanted_while_it_finishes_happens_afterwards(letters: tuple[bytes, ...], starts: list[str]) -> None:
    life = finishing_life()
    assert life.happen(*letters, b"t", b"p", b"c") == []
    assert life.happen(FINISHED) == starts


def test_it_is_left_when_it_has_finished() -> None:
    life = finishing_life()
    life.happen(b"x")
    assert not life.service.left
    assert life.happen(FINISHED) == []
    assert life.service.left


# -- limits and deaths -----------------------------------------------------------------------------


def test_down_leads_to_a_kill_when_there_is_a_limit() -> None:
    life = Life(kill_limit=3.0)
    life.happen(b"u", b"d")
    assert life.tick(after=2) == []
    life.happen(b"d", after=0.5)
    assert life.tick(after=1) == ["SIGKILL 101"]
    assert life.tick(after=100) == []
    assert life.happen(DIED) == []


def test_without_a_limit_down_takes_its_time() -> None:
    life = Life()
    life.happen(b"u", b"d")
    assert life.tick(after=1e6) == []


def test_many_short_lives_put_the_next_start_off_more_and_more() -> None:
    life = Life(deaths=2)
    life.happen(b"u")
    assert life.happen(DIED, after=1.0) == ["start"]
    for seconds in (2, 4, 8, 16, 32, *[60] * 2000):
        assert life.happen(DIED, after=1.0) == []
        assert life.service.next_start == int((life.now + seconds) * SECOND)
        assert life.tick(after=seconds - 0.1) == []
        assert life.tick(after=0.2) == ["start"]
    assert life.happen(DIED, after=61.0) == ["start"]
    assert life.happen(DIED, after=1.0) == ["start"]


def test_a_start_that_was_put_off_happens_at_once_when_somebody_wants_it() -> None:
    life = Life(deaths=1)
    life.happen(b"u")
    assert life.happen(DIED, after=1.0) == []
    assert life.happen(b"u", after=0.1) == ["start"]
    assert life.service.next_start is None


@pytest.mark.parametrize("letter", [b"d", b"x"])
def test_a_start_that_was_put_off_can_be_called_off(letter: bytes) -> None:
    life = Life(deaths=1)
    life.happen(b"u", DIED, after=1.0)
    life.happen(letter)
    assert life.service.next_start is None
    assert life.tick(after=100) == []


def test_what_cannot_be_run_counts_as_a_death_with_111() -> None:
    life = Life(finish=True)
    life.paper.missing = True
    assert life.happen(b"u") == ["start", "finish 111 0"]
    assert life.happen(FINISHED, after=0.1) == []
    assert life.tick(after=1) == ["start", "finish 111 0"]


# -- essential -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ended", "code"), [((0, 0), 0), ((7, 0), 7), ((KILLED, 15), 143), ((-1, 0), 111)])
def test_the_end_of_an_essential_service_is_the_end_of_all(ended: tuple[int, int], code: int) -> None:
    life = Life(essential=True)
    life.ended = ended
    assert life.happen(b"u", DIED) == ["start"]
    assert life.service.left
    assert life.service.leaving == ESSENTIAL
    assert life.service.code == code


def test_an_essential_service_may_be_put_down() -> None:
    life = Life(essential=True)
    life.happen(b"u", b"d", DIED)
    assert not life.service.left
    life.happen(b"x")
    assert life.service.left
    assert life.service.leaving != ESSENTIAL
    assert life.service.code == 0


# -- what a supervise before has left --------------------------------------------------------------


def left(word: bytes, **lines: bytes) -> State:
    return State(
        {b"state": word, b"since": b"@400000000000000b" + b"0" * 8, b"starts": b"5"}
        | {name.encode(): value for name, value in lines.items()}
    )


def heir(
    word: bytes,
    alive: bool,
    want: bytes = UP,
    waiting: bool = False,
    wishes: dict[str, object] | None = None,
    **lines: bytes,
) -> Life:
    life = Life(want, waiting, **(wishes or {}))
    life.now = 86_400.0
    life.service.take_over(left(word, **lines), alive, life.now, int(life.now * SECOND))
    return life


def test_what_runs_goes_on() -> None:
    life = heir(RUNNING, True, pid=b"7", paused=b"yes")
    assert life.paper.done == []
    assert (life.service.phase, life.service.status.pid, life.service.starts) == (RUNNING, 7, 5)
    assert life.service.status.paused
    assert life.happen(b"d") == ["SIGTERM 7", "SIGCONT 7"]


def test_what_was_to_go_down_still_has_a_limit() -> None:
    life = heir(RUNNING, True, want=DOWN, wishes={"kill_limit": 3.0}, pid=b"7")
    assert life.tick(after=4) == ["SIGKILL 7"]


def test_what_has_ended_meanwhile_gets_its_finish() -> None:
    life = heir(RUNNING, False, wishes={"finish": True}, pid=b"7")
    assert life.paper.done == ["finish -1 0"]
    assert life.happen(FINISHED) == ["start"]


def test_an_essential_service_that_has_ended_meanwhile_is_the_end_of_all() -> None:
    life = heir(RUNNING, False, wishes={"essential": True}, pid=b"7")
    assert life.service.leaving == ESSENTIAL
    assert life.service.code == 111


def test_a_finish_that_runs_is_waited_for() -> None:
    life = heir(FINISHING, True, wishes={"finish": True, "finish_limit": 5.0}, finish=b"8", ended=b"1 0")
    assert life.paper.done == []
    assert life.tick(after=6) == ["SIGKILL 8"]
    assert life.happen(FINISHED) == ["start"]


def test_a_finish_that_is_gone_is_not_run_again() -> None:
    life = heir(FINISHING, False, wishes={"finish": True}, ended=b"1 0")
    assert life.paper.done == ["start"]


@pytest.mark.parametrize("word", [ENDING, FINISHING])
def test_an_essential_service_that_ended_before_is_the_end_of_all(word: bytes) -> None:
    life = heir(word, False, want=DOWN, leaving=b"essential", ended=b"256 15")
    assert life.service.left
    assert life.service.leaving == ESSENTIAL
    assert life.service.code == 143


def test_a_tree_that_ends_is_told_again() -> None:
    life = Life(kill_tree=True)
    life.paper.left = True
    life.service.take_over(left(ENDING, ended=b"1 0"), False, life.now, int(life.now * SECOND))
    assert life.paper.done == ["SIGTERM to the tree"]
    assert life.happen(SWEPT) == ["start"]


def test_what_is_down_stays_down_unless_it_is_wanted_up() -> None:
    assert heir(AT_REST, False, want=DOWN).paper.done == []
    assert heir(AT_REST, False, want=ONCE).paper.done == []
    assert heir(AT_REST, False, want=UP).paper.done == ["start"]
    assert heir(WAITING, False, want=UP).paper.done == ["start"]


def test_what_is_to_wait_waits_whatever_it_was() -> None:
    for word in (AT_REST, WAITING):
        assert heir(word, False, waiting=True).service.phase == WAITING
    life = heir(RUNNING, False, waiting=True, pid=b"7")
    assert life.service.phase == WAITING
    assert life.happen(b"w") == ["start"]


def test_what_runs_and_was_to_wait_is_started_again_once_it_is_released() -> None:
    life = heir(RUNNING, True, waiting=True, pid=b"7")
    life.happen(b"w")
    assert life.happen(DIED) == ["start"]
    life = heir(RUNNING, True, waiting=True, pid=b"7")
    assert life.happen(DIED) == []
    assert life.service.phase == WAITING


def test_what_was_to_be_left_is_left_when_it_ends() -> None:
    life = heir(RUNNING, True, pid=b"7", leaving=b"yes")
    assert life.happen(DIED) == []
    assert life.service.left


def test_starts_are_a_second_apart_across_supervises() -> None:
    life = Life()
    life.now = 86_400.0
    found = left(RUNNING, pid=b"7")
    found.lines[b"since"] = b"@%016x%08x" % ((1 << 62) + 10 + 86_399, 700_000_000)
    life.service.take_over(found, False, life.now, int(life.now * SECOND))
    assert life.paper.done == []
    assert life.tick(after=0.6) == []
    assert life.tick(after=0.2) == ["start"]
