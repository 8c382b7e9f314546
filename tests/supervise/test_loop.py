"""The loop, and signals as events of it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from supervise.loop import Loop, Signals


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    found = [os.pipe() for _ in range(3)]
    yield found
    for pipe in found:
        for end in pipe:
            os.close(end)


def test_what_has_happened_is_called(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    called = []
    for number, (reading, _) in enumerate(pipes):
        loop.hear(reading, lambda number=number: called.append(number))
    os.write(pipes[1][1], b"x")
    loop.wait(None)
    assert called == [1]


def test_nothing_happens_within_the_time(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    loop.hear(pipes[0][0], lambda: pytest.fail("called"))
    loop.wait(0.001)
    loop.wait(-5.0)


def test_what_is_forgotten_is_called_no_more(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    reading, writing = pipes[0]
    loop.hear(reading, lambda: pytest.fail("called"))
    os.write(writing, b"x")
    loop.forget(reading)
    loop.forget(reading)
    loop.wait(0)


def test_a_call_may_take_others_away(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    called = []

    def take_all_away(number: int) -> None:
        called.append(number)
        for reading, _ in pipes:
            loop.forget(reading)

    for number, (reading, writing) in enumerate(pipes):
        loop.hear(reading, lambda number=number: take_all_away(number))
        os.write(writing, b"x")
    loop.wait(None)
    assert len(called) == 1


def test_an_event_is_not_taken_for_one_of_the_next_descriptor_of_that_number(
    loop: Loop, pipes: list[tuple[int, int]]
) -> None:
    def put_others_in_their_places() -> None:
        for reading, _ in pipes:
            loop.forget(reading)
            loop.hear(reading, lambda: pytest.fail("nothing has happened to the new one"))

    for reading, writing in pipes:
        loop.hear(reading, put_others_in_their_places)
        os.write(writing, b"x")
    loop.wait(None)


def test_room_to_write_is_an_event_too(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    called = []
    loop.hear(pipes[0][1], lambda: called.append("room"), select.EPOLLOUT)
    loop.wait(None)
    assert called == ["room"]


def test_signals_that_arrived_are_told_once(loop: Loop) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    signals = Signals(*before)
    try:
        told: list[set[int]] = []
        loop.hear(signals.fileno(), lambda: told.append(signals.arrived()))
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        loop.wait(None)
        assert told == [{signal.SIGUSR1, signal.SIGUSR2}]
        assert signals.arrived() == set()
    finally:
        loop.forget(signals.fileno())
        signals.close()
        for number, handler in before.items():
            signal.signal(number, handler)
