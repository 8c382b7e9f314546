"""The file `supervise/state`: what one supervise writes and the next one believes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise import stamp
from supervise.tree import state
from supervise.tree.servicedir import DOWN, ONCE, UP, Status
from supervise.tree.state import AT_REST, RUNNING, State

WHEN = 1_700_000_000_123_456_789
BOOT = state.this_boot() or b""


def lines(**more: bytes) -> dict[bytes, bytes]:
    found = {
        b"state": RUNNING,
        b"pid": b"4711",
        b"since": stamp.label(WHEN),
        b"want": b"up",
        b"watched": BOOT + b" 7",
    }
    return found | {name.encode(): value for name, value in more.items()}


def content(**more: bytes) -> bytes:
    return bytes(State(lines(**more)))


WORDS = st.binary(min_size=1, max_size=9).filter(lambda word: not {*word} & {*b" \n"})
VALUES = st.binary(min_size=1, max_size=40).filter(lambda value: b"\n" not in value)


@given(st.dictionaries(WORDS, VALUES))
def test_what_is_written_is_read(pairs: dict[bytes, bytes]) -> None:
    assert State.parse(bytes(State(pairs))).lines == pairs


def test_it_says_what_it_is_about() -> None:
    found = State.parse(content(ended=b"256 9", ready=stamp.label(WHEN + 5), next=stamp.label(WHEN + 9), starts=b"3"))
    assert (found.word, found.ended, found.ready_since, found.next) == (RUNNING, (256, 9), WHEN + 5, WHEN + 9)
    assert found.number(b"starts") == 3
    assert bytes(found.status) == bytes(Status(WHEN, 4711, False, UP))


@pytest.mark.parametrize(("word", "want"), [(b"up", UP), (b"down", DOWN), (b"once", ONCE)])
def test_what_is_wanted_is_a_word(word: bytes, want: bytes) -> None:
    assert State.parse(content(want=word, paused=b"yes")).status.want == want
    assert State.parse(content(paused=b"yes")).status.paused


@pytest.mark.parametrize(
    ("more", "ready"),
    [
        ({}, True),
        ({"notification": b"3"}, False),
        ({"notification": b"3", "ready": stamp.label(WHEN)}, True),
        ({"state": AT_REST}, False),
    ],
)
def test_ready_is_up_and_said_so_if_it_ever_does(more: dict[str, bytes], ready: bool) -> None:
    assert State.parse(content(**more)).ready is ready


@given(st.binary(max_size=300) | st.lists(st.sampled_from(content().splitlines(keepends=True))).map(b"".join))
def test_damage_is_never_more_than_a_state_that_says_less(damaged: bytes) -> None:
    examine(damaged)


@given(st.sampled_from([*lines(), b"ended", b"ready", b"next", b"starts", b"notification"]), st.binary(max_size=30))
def test_damaged_values_are_never_more_than_missing(word: bytes, value: bytes) -> None:
    examine(bytes(State({**lines(), word: value})))


@pytest.mark.parametrize("label", [b"@", b"@40", b"@" + b"f" * 24, b"@" + b"0" * 24, b"@" + b"g" * 24, b"4" * 25, b""])
def test_a_label_that_is_none_is_no_moment(label: bytes) -> None:
    assert State.parse(content(next=label)).next is None


@pytest.mark.parametrize("digits", [b"-1", b"99999999999999999999999", b"4294967296", b"1e3", b"", b"\xb2"])
def test_a_number_that_is_none_is_nothing(digits: bytes) -> None:
    assert State.parse(content(pid=digits)).number(b"pid") == 0


def examine(damaged: bytes) -> None:
    found = State.parse(damaged)
    for name in ("word", "ready", "ready_since", "next", "ended", "want", "watched"):
        getattr(found, name)
    try:
        bytes(found.status)
    except ValueError:
        pass
    state.left(b"", damaged)
    state.left(damaged, damaged)


# -- what the next supervise goes on with ------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "believed"),
    [
        (bytes(Status(WHEN, 4711, False, UP)), True),
        (bytes(Status(WHEN - 1, 0, False, UP)), True),  # killed between the two files
        (b"", True),  # the same, the first time
        (bytes(Status(WHEN, 0, False, UP)), False),
        (bytes(Status(WHEN + 1, 4711, False, UP)), False),  # another supervise has written it
    ],
)
def test_a_state_that_is_older_than_the_status_is_not_believed(record: bytes, believed: bool) -> None:
    assert (state.left(record, content()) is not None) is believed


@pytest.mark.parametrize("watched", [b"", b"00000000-0000-0000-0000-000000000000 7"])
def test_what_was_left_or_is_of_another_boot_is_not_believed(watched: bytes) -> None:
    assert state.left(b"", content(watched=watched)) is None


def test_a_state_without_a_moment_is_not_believed() -> None:
    assert state.left(b"", content(since=b"@yesterday")) is None


def test_readers_get_none_for_what_is_missing_or_older(tmp_path: Path) -> None:
    file = tmp_path / "state"
    assert state.read(bytes(file), 4711) is None
    file.write_bytes(content())
    assert state.read(bytes(file), 4711)
    assert state.read(bytes(file), 12) is None
    with pytest.raises(OSError):
        state.read(bytes(tmp_path), 4711)


# -- processes ---------------------------------------------------------------------------------------


def test_a_process_is_told_from_all_others() -> None:
    mine, older = state.identity(os.getpid()), state.identity(1)
    assert mine == state.identity(os.getpid())
    assert mine and older and mine != older
    assert mine.split()[0] == BOOT


def test_a_process_that_has_ended_is_none() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert state.identity(process.pid) is None
    process.wait()
    assert state.identity(process.pid) is None


def test_a_process_may_be_called_anything(tmp_path: Path) -> None:
    program = tmp_path / ") R 1 (\n"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "1000"])
    try:
        found = state.identity(process.pid)
        assert found
        assert found.split()[1].isdigit()
        assert abs(int(found.split()[1]) - int((state.identity(os.getpid()) or b"").split()[1])) < 1_000_000
    finally:
        process.kill()
        process.wait()
