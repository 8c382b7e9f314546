"""The status record, and the words that svstat finds for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.tree.servicedir import Status, open_writer
from supervise.tree.svstat import describe

SECOND = 1_000_000_000


def test_the_record_byte_for_byte() -> None:
    record = bytes(Status(935_467_455_787_492_500, 0x1234, True, b"u"))
    assert record.hex(" ") == "40 00 00 00 37 c2 19 c9 2e f0 2e 94 34 12 00 00 01 75"


@given(st.integers(0, 1 << 61), st.integers(0, (1 << 32) - 1), st.booleans(), st.sampled_from([b"u", b"d", b"\0"]))
def test_the_record_loses_nothing(since: int, pid: int, paused: bool, want: bytes) -> None:
    status = Status.parse(bytes(Status(since, pid, paused, want)))
    assert (status.since, status.pid, status.paused, status.want) == (since, pid, paused, want)


def test_what_a_newer_supervise_adds_is_no_harm_and_what_is_missing_is() -> None:
    record = bytes(Status(0, 7, False, b"d"))
    assert Status.parse(record + b"\3\0").pid == 7
    with pytest.raises(ValueError):
        Status.parse(record[:-1])


@pytest.mark.parametrize(
    ("pid", "paused", "want", "normally_up", "words"),
    [
        (9, False, b"u", True, "up (pid 9) 5 seconds"),
        (9, False, b"\0", False, "up (pid 9) 5 seconds, normally down"),
        (9, True, b"d", False, "up (pid 9) 5 seconds, normally down, paused, want down"),
        (0, True, b"d", True, "down 5 seconds, normally up"),
        (0, False, b"u", True, "down 5 seconds, normally up, want up"),
        (0, False, b"u", False, "down 5 seconds, want up"),
    ],
)
def test_words(pid: int, paused: bool, want: bytes, normally_up: bool, words: str) -> None:
    status = Status(10 * SECOND + 999_999_999, pid, paused, want)
    assert describe(status, normally_up, 15 * SECOND).decode() == words


def test_a_clock_that_was_set_back_shows_no_seconds() -> None:
    assert describe(Status(20 * SECOND, 0, False, b"d"), False, 15 * SECOND) == b"down 0 seconds"


def test_a_fifo_that_nobody_reads_is_told_from_one_that_is_read(tmp_path: Path) -> None:
    fifo = os.fsencode(tmp_path / "ok")
    os.mkfifo(fifo)
    assert open_writer(fifo) is None
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = open_writer(fifo)
    assert writer is not None
    os.close(writer)
    os.close(reader)
    with pytest.raises(FileNotFoundError):
        open_writer(fifo + b"x")
