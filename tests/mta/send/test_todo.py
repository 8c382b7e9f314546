from __future__ import annotations

import os
from pathlib import Path

import pytest
from sending import Home, Sending

from mta.queue import layout
from mta.send.controls import Controls
from mta.send.log import Log
from mta.send.schedule import FRESH, Fresh, Schedule, Timetable
from mta.send.state import State
from mta.send.todo import SMALL, Arrival


def arrival(queue: Home, number: int) -> Arrival:
    """Message *number*, taken apart."""
    with open(os.devnull, "wb") as log:
        arrival = Arrival(number, State(Log(log.fileno()), Controls()))
        arrival.write()
        arrival.close()
    return arrival


def test_a_message_is_taken_apart(queue: Home) -> None:
    number = queue.submit(b"joe@example.org", b"mary@far.example", b"lu", b"ann@localhost")
    found = arrival(queue, number)
    assert queue.file(layout.info(number)).read_bytes() == b"Fsue@example.net\0"
    assert queue.file(layout.local(number)).read_bytes() == b"Tjoe@example.org\0Tann@localhost\0"
    assert queue.file(layout.remote(number)).read_bytes() == b"Tmary@far.example\0Tlu@mail.example.org\0"
    assert found.recipients == [
        [(0, b"joe@example.org"), (17, b"ann@localhost")],
        [(0, b"mary@far.example"), (18, b"lu@mail.example.org")],
    ]


def test_what_a_crash_left_is_dropped(queue: Home) -> None:
    number = queue.submit(b"joe@example.org")
    for name in layout.info(number), layout.local(number), layout.remote(number), layout.bounce(number):
        queue.put(name, b"old")
    arrival(queue, number)
    assert queue.file(layout.local(number)).read_bytes() == b"Tjoe@example.org\0"
    assert not queue.file(layout.remote(number)).exists()
    assert not queue.file(layout.bounce(number)).exists()


def test_memory_keeps_small_messages_and_not_too_many(queue: Home) -> None:
    few = arrival(queue, queue.submit(*(b"joe%d@example.org" % n for n in range(SMALL))))
    many = arrival(queue, queue.submit(*(b"joe%d@example.org" % n for n in range(SMALL + 1))))
    assert few.fresh(0, 0) is not None
    assert many.fresh(0, 0) is None
    timetable = Timetable()
    for number in range(FRESH + 10):
        timetable.add(number, 0, Fresh(b"", 0, []))
    assert len(timetable.fresh) == FRESH


def test_a_number_that_is_being_worked_on_is_not_touched(queue: Home) -> None:
    schedule = Schedule(State(Log(), Controls()))
    schedule.channels[0].working.add(7)
    assert schedule.busy(7)
    assert not schedule.busy(8)


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (b"u500\0p77\0Fsue\0Xjoe\0", "unknown record type in todo/{}"),
        (b"u500\0p77\0", "trouble reading todo/{}"),
        (b"ux\0p77\0Fsue\0", "unknown record type in todo/{}"),
    ],
)
def test_an_envelope_that_is_none_stays_and_harms_nobody(home: Home, content: bytes, warning: str) -> None:
    bad, good = home.submit(b"joe@example.org"), home.submit(b"ann@example.org")
    home.file(layout.todo(bad)).write_bytes(content)
    with Sending(home) as sending:
        sending.logged(f"end msg {good}")
        assert "warning: " + warning.format(bad) in sending.lines
    assert home.file(layout.todo(bad)).exists()


def test_names_that_are_no_numbers_are_passed_by(home: Home) -> None:
    home.put(b"todo/draft", b"")
    home.put(b"info/3/.draft", b"")
    number = home.submit(b"joe@example.org")
    with Sending(home) as sending:
        sending.logged(f"end msg {number}")
        assert not [line for line in sending.lines if "warning" in line]


def test_a_message_that_the_disk_does_not_take_is_tried_again(home: Home) -> None:
    number = home.submit(b"joe@example.org")
    blocked = Path(home.file(layout.info(number)))
    blocked.mkdir()
    with Sending(home) as sending:
        sending.logged("warning: unable to unlink " + os.fsdecode(layout.info(number)))
        blocked.rmdir()
        home.pull()
        sending.logged(f"end msg {number}")


def test_a_full_todo_does_not_hold_up_deliveries(home: Home) -> None:
    for _ in range(300):
        home.submit(b"joe@example.org")
    with Sending(home) as sending:
        sending.logged("end msg", 300)
        kinds = [line.split()[0] for line in sending.lines if line.startswith(("new msg", "delivery"))]
        last_new = len(kinds) - 1 - kinds[::-1].index("new")
        assert kinds[:last_new].count("delivery") >= 10  # as many as may run, at the least once
