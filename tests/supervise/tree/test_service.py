"""One service's life, without processes and with a clock of our own."""

from __future__ import annotations

import signal

import pytest

from supervise.tree.service import SIGNALS, Service
from supervise.tree.servicedir import DOWN, ONCE, UP
from supervise.tree.settings import Settings

SECOND = 1_000_000_000
DIED = b"died"


class Paper:
    """A world on paper: what was done to it stands in `done`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.announced: list[tuple[int, bytes]] = []
        self.next = 100
        self.full = False
        self.wishes = Settings()
        self.left = False

    def settings(self) -> Settings:
        return self.wishes

    def start(self, settings: Settings) -> int:
        self.done.append("start")
        if self.full:
            return 0
        self.next += 1
        return self.next

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

    def __init__(self, want: bytes = UP) -> None:
        self.paper = Paper()
        self.service = Service(self.paper, want, 0)
        self.now = 1.0

    def happen(self, *events: bytes, after: float = 86_400.0) -> list[str]:
        """Let *events* happen; what that did to the world."""
        self.paper.done.clear()
        for event in events:
            self.now += after
            moment = self.now, int(self.now * SECOND)
            if event == DIED:
                self.service.died((0, 0), *moment)
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
