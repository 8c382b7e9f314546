"""Titles and arguments: what the list of processes shows of a fork."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from services import kill
from until import until

from supervise.program import spawn
from supervise.title import arguments, set_title

LONG = [b"word", b"a b", b"\xff\n", b"." * 20000]


def shown(work: Callable[[], object], wanted: bytes) -> None:
    """Assert that the list of processes shows *wanted* of a fork that has done *work*."""

    def stay() -> int:
        kept = work()
        while kept is not work:
            time.sleep(1000)
        return 1

    pid = spawn(stay)
    try:
        until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") == wanted, what=repr(wanted[:80]))
    finally:
        kill(pid)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("word", "wanted"), [(b"caf\xc3\xa9", b"caf\xc3\xa9"), (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}".encode())]
)
def test_a_title_may_hold_any_bytes(word: bytes, wanted: bytes) -> None:
    shown(lambda: set_title([b"x", word]), b"x " + wanted)


def test_arguments_are_those_of_exec_byte_for_byte_and_as_long_as_they_may_be() -> None:
    shown(lambda: arguments(LONG), b"\0".join(LONG))


def test_arguments_may_be_changed_in_place() -> None:
    def change() -> object:
        memory = arguments([b"x", b"old"])
        assert memory
        memory[2:5] = b"new"
        return memory

    shown(change, b"x\0new")


@pytest.mark.root
def test_who_has_become_somebody_may_change_arguments_too() -> None:
    def change() -> object:
        os.setgid(65534)
        os.setuid(65534)
        return arguments(LONG)

    shown(change, b"\0".join(LONG))


def test_memory_still_grows_and_shrinks_after_that() -> None:
    def work() -> int:
        memory = arguments(LONG)
        for size in (1, 100, 100_000, 10_000_000):
            blocks = [bytes(size) for _ in range(20)]
            del blocks
        return 7 if memory and memory[:4] == b"word" else 1

    assert os.waitstatus_to_exitcode(os.waitpid(spawn(work), 0)[1]) == 7
