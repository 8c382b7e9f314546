from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sending import Home

from mta.queue import layout
from mta.send.controls import Controls
from mta.send.log import Log
from mta.send.rewrite import LOCAL, REMOTE
from mta.send.schedule import Fresh, Schedule, Timetable, next_try
from mta.send.state import State


@pytest.fixture
def log(queue: Home) -> Iterator[Log]:
    with (queue.home / "log").open("ab") as stream:
        yield Log(stream.fileno())


def schedule(log: Log) -> Schedule:
    return Schedule(State(log, Controls()))


def tries(channel: int, count: int) -> list[int]:
    """The moments of the first tries after the birth, each at once when it is due."""
    moments = [0]
    while len(moments) <= count:
        moments.append(next_try(0, moments[-1], channel))
    return moments[1:]


def test_the_pause_grows_with_each_try() -> None:
    assert tries(LOCAL, 5) == [100, 400, 900, 1600, 2500]
    assert tries(REMOTE, 5) == [400, 1600, 3600, 6400, 10000]


def test_a_message_from_the_future_is_tried_soon_after_its_birth() -> None:
    assert next_try(5000, 4000, LOCAL) == 5100


def test_the_earliest_comes_first_and_nothing_before_its_time() -> None:
    timetable = Timetable()
    for number, moment in ((1, 30), (2, 10), (3, 20)):
        timetable.add(number, moment)
    assert timetable.soonest() == 10
    assert timetable.take(9) is None
    assert [timetable.take(25), timetable.take(25), timetable.take(25)] == [2, 3, None]
    timetable.add(2, 25)
    assert [timetable.take(40), timetable.take(40), timetable.take(40)] == [2, 1, None]


def test_what_is_forgotten_does_not_come_back() -> None:
    timetable = Timetable()
    timetable.add(1, 10, Fresh(b"", 0, []))
    timetable.forget(1)
    assert timetable.soonest() is None
    timetable.add(1, 20)
    assert timetable.take(15) is None
    assert timetable.take_fresh(1) is None


def test_hurry_makes_all_of_it_due() -> None:
    timetable = Timetable()
    for number in range(10):
        timetable.add(number, 1000 - number)
    timetable.add(10, 5)
    timetable.hurry(100)
    assert timetable.take(100) == 10
    assert sorted(iter(lambda: timetable.take(100), None)) == list(range(10))


def test_moments_survive_on_disk(queue: Home, log: Log) -> None:
    queue.put(layout.info(7), b"Fsue@example.net\0")
    queue.put(layout.local(7), b"Tjoe@example.org\0", changed=5000)
    queue.put(layout.remote(7), b"Tjoe@far.example\0", changed=6000)
    first = schedule(log)
    first.load(0)
    assert [timetable.soonest() for timetable in first.channels] == [5000, 6000]
    first.channels[LOCAL].add(first.channels[LOCAL].take(5000) or 0, 8000)
    first.save()
    second = schedule(log)
    second.load(0)
    assert [timetable.soonest() for timetable in second.channels] == [8000, 6000]


def test_a_message_without_recipients_is_done_and_one_in_todo_is_not_taken_up(queue: Home, log: Log) -> None:
    queue.put(layout.info(7), b"F\0")
    queue.put(layout.info(8), b"F\0")
    queue.put(layout.local(8), b"Tjoe@example.org\0")
    queue.put(layout.todo(8), b"...")
    queue.file(b"info/3/draft").touch()
    found = schedule(log)
    found.load(0)
    assert list(found.done.moments) == [7]
    assert [timetable.soonest() for timetable in found.channels] == [None, None]


def test_files_that_cannot_be_looked_at_are_looked_at_again(queue: Home, log: Log) -> None:
    queue.put(layout.info(7), b"F\0")
    local = Path(queue.file(layout.local(7)))
    local.symlink_to(local.name)  # a loop
    found = schedule(log)
    found.load(1000)
    assert found.unsure.soonest() == 1123
    local.unlink()
    found.place(7, 1123)
    assert list(found.done.moments) == [7]
    log.flush()
    name = os.fsdecode(layout.local(7))
    assert (queue.home / "log").read_text() == f"warning: unable to stat {name}; will try again later\n"


def test_thousands_that_wait_are_quick() -> None:
    timetable = Timetable()
    start = time.process_time()
    for number in range(20_000):
        timetable.add(number, 1_000_000 + number * 7919 % 20_000)
    for _ in range(1000):
        timetable.soonest()
    timetable.hurry(0)
    assert sum(1 for _ in iter(lambda: timetable.take(0), None)) == 20_000
    assert time.process_time() - start < 2
