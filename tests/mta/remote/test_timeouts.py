"""The table of hosts that do not answer."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

import pytest
from crashes import crashes_of

from mta.remote import timeouts

NOW = 1_700_000_000


@pytest.fixture
def table(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return home / "queue/lock/tcpto"


def record(address: str, failures: int, when: int) -> bytes:
    """A record as the original writes it."""
    return socket.inet_aton(address) + bytes([failures, 0, 0, 0]) + when.to_bytes(4, "little") + bytes(4)


def unreachable(address: str) -> bool:
    entry = timeouts.find(address)
    return entry is not None and entry.unreachable()


def test_an_attempt_that_times_out_is_recorded_as_the_original_does(table: Path) -> None:
    timeouts.timed_out("192.0.2.1")
    timeouts.timed_out("192.0.2.2")
    assert table.read_bytes() == record("192.0.2.1", 1, NOW) + record("192.0.2.2", 1, NOW) + bytes(62 * 16)


def test_two_in_a_row_make_an_address_unreachable_for_about_an_hour(table: Path) -> None:
    pause = (60 + (os.getpid() & 31)) * 64
    for failures, when, verdict in [
        (0, NOW, False),
        (1, NOW, False),
        (2, NOW, True),
        (10, NOW - pause + 1, True),
        (10, NOW - pause, False),
        (2, NOW + 1000, False),  # a clock that was wrong must not close a host for years
    ]:
        table.write_bytes(bytes(16) + record("192.0.2.1", failures, when) + bytes(62 * 16))
        assert unreachable("192.0.2.1") == verdict, (failures, when)
    assert not unreachable("192.0.2.9")


def test_attempts_at_nearly_the_same_time_count_once(table: Path) -> None:
    for when, failures in (NOW - 119, 1), (NOW - 120, 2), (NOW + 9, 2):
        table.write_bytes(record("192.0.2.1", 1, when) + bytes(63 * 16))
        timeouts.timed_out("192.0.2.1")
        assert table.read_bytes()[4] == failures


def test_failures_count_to_ten(table: Path) -> None:
    table.write_bytes(record("192.0.2.1", 10, NOW - 9000) + bytes(63 * 16))
    timeouts.timed_out("192.0.2.1")
    assert table.read_bytes()[:16] == record("192.0.2.1", 10, NOW)


def test_an_answer_clears_the_failures_and_nothing_else(table: Path) -> None:
    table.write_bytes(record("192.0.2.1", 3, 77) + record("192.0.2.2", 3, 77) + bytes(62 * 16))
    timeouts.answered("192.0.2.2")
    timeouts.answered("192.0.2.3")
    assert table.read_bytes()[:48] == record("192.0.2.1", 3, 77) + record("192.0.2.2", 0, 77) + bytes(16)


def test_a_full_table_gives_up_the_address_that_is_least_missed(table: Path) -> None:
    full = [record(f"192.0.2.{n}", 5, NOW) for n in range(64)]
    full[40] = record("192.0.2.40", 6, NOW - 1025)  # older than the others by more than one failure counts
    full[50] = record("192.0.2.50", 6, NOW - 1023)
    table.write_bytes(b"".join(full))
    timeouts.timed_out("198.51.100.1")
    full[40] = record("198.51.100.1", 1, NOW)
    assert table.read_bytes() == b"".join(full)


def test_a_free_record_is_taken_before_another_is_given_up(table: Path) -> None:
    full = [record(f"192.0.2.{n}", 5, 1) for n in range(64)]
    full[63] = record("192.0.2.63", 0, NOW)
    table.write_bytes(b"".join(full))
    timeouts.timed_out("198.51.100.1")
    assert table.read_bytes()[63 * 16 :] == record("198.51.100.1", 1, NOW)


def test_an_ipv6_address_is_recorded_under_one_that_no_host_can_have(table: Path) -> None:
    timeouts.timed_out("2001:db8::1")
    timeouts.timed_out("2001:db8::2")
    first, second = timeouts.entries()[:2]
    assert first.ip != second.ip
    assert first.ip[0] >= 240 and second.ip[0] >= 240
    assert first.address().startswith(tuple(str(n) for n in range(240, 256)))
    table.write_bytes(record(first.address(), 2, NOW) + bytes(63 * 16))
    assert unreachable("2001:db8::1")
    assert not unreachable("2001:db8::2")
    timeouts.answered("2001:db8:0::1")
    assert not unreachable("2001:db8::1")


def test_everything_can_be_forgotten(table: Path) -> None:
    table.write_bytes(record("192.0.2.1", 3, NOW) * 64)
    timeouts.clear()
    assert table.read_bytes() == bytes(1024)


@pytest.mark.parametrize("content", [b"", b"x" * 15, bytes(16) + b"x" * 7])
def test_a_short_table_is_used_as_far_as_it_goes(table: Path, content: bytes) -> None:
    table.write_bytes(content)
    timeouts.timed_out("192.0.2.1")
    assert timeouts.find("192.0.2.1") is None if len(content) < 16 else timeouts.find("192.0.2.1")
    assert len(table.read_bytes()) == len(content)


def test_without_a_table_nothing_is_remembered(table: Path) -> None:
    table.unlink()
    timeouts.timed_out("192.0.2.1")
    timeouts.answered("192.0.2.1")
    assert timeouts.find("192.0.2.1") is None
    assert not table.exists()
    with pytest.raises(OSError):
        timeouts.clear()


def test_a_change_waits_for_the_one_who_has_the_lock(table: Path) -> None:
    with open(table, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = os.fork()
        if child == 0:
            held.close()
            timeouts.timed_out("192.0.2.1")
            os._exit(0)
        assert timeouts.find("192.0.2.1") is None  # who reads waits for nobody
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    assert os.waitpid(child, 0)[1] == 0
    assert timeouts.find("192.0.2.1") is not None


def test_a_crash_at_any_call_leaves_a_table_that_can_be_read(table: Path) -> None:
    before = record("192.0.2.1", 1, NOW - 9000) + bytes(63 * 16)
    for _ in crashes_of(
        lambda: timeouts.timed_out("192.0.2.1"), lambda: table.write_bytes(before) and None, torn=False
    ):
        assert table.read_bytes() in (before, record("192.0.2.1", 2, NOW) + before[16:])
