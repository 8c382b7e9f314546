"""bouncesaying, except, condredirect: what becomes of a message is up to a program."""

from __future__ import annotations

import os
import subprocess

import pytest
from commands import Result, environment
from injecting import Home

MESSAGE = b"Subject: hi\n\nhello\n"
CONDITIONS = [["bouncesaying", "no"], ["except"], ["condredirect", "sue@x.y"]]


def deliver(home: Home, *argv: str, message: bytes = MESSAGE, pass_fds: tuple[int, ...] = (), **env: str) -> Result:
    """Run *argv* with a file on descriptor 0, as qmail-local does."""
    (home.folder / "in").write_bytes(message)
    with (home.folder / "in").open("rb") as file:
        where = environment({**home.env, **env})
        done = subprocess.run(argv, stdin=file, capture_output=True, env=where, pass_fds=pass_fds, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_program_that_cannot_be_run_now_defers(home: Home, condition: list[str]) -> None:
    """One that never can counts as one that says no."""
    busy = home.folder / "busy"
    busy.write_bytes(b"#!/bin/sh\n")
    busy.chmod(0o755)
    with busy.open("ab"):  # a program that is being written: text busy
        done = deliver(home, *condition, str(busy))
    assert (done.code, done.err) == (111, condition[0].encode() + b": fatal: temporary child error\n")
    assert deliver(home, *condition, "/etc/passwd").code == 0


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_program_gets_what_exec_would_give_it(home: Home, condition: list[str]) -> None:
    reading, writing = os.pipe()
    script = f"cat; echo told >/proc/self/fd/{writing}; exit 1"
    done = deliver(home, *condition, "sh", "-c", script, pass_fds=(writing,))
    os.close(writing)
    with open(reading, "rb") as told:
        assert told.read() == b"told\n"
    assert done == (0, MESSAGE, b"")


def test_conditions_can_be_put_together(home: Home) -> None:
    words = ["bouncesaying", "members only", "except", "grep", "-q", "^X-Member:"]
    assert deliver(home, *words) == (100, b"", b"members only\n")
    assert deliver(home, *words, message=b"X-Member: me\n" + MESSAGE) == (0, b"", b"")


def test_a_redirected_message_is_whole_however_much_the_program_has_read(home: Home) -> None:
    message = MESSAGE + b"x\0\xff\n" * 100_000 + b"no end"
    done = deliver(home, "condredirect", "sue@x.y", "head", "-c5", message=message)
    assert (done.code, done.out) == (99, message[:5]) and done.err.startswith(b"condredirect: qp ")
    assert home.message == b"Delivered-To: bill@heaven.af.mil\n" + message
    assert home.envelope == [b"Fjoe@irs.gov", b"Tsue@x.y"]


def test_a_queue_that_does_not_take_it_decides_what_condredirect_says(home: Home) -> None:
    queue = home.folder / "capture"
    for code, told in ((31, 100), (53, 111)):
        queue.write_text(f"#!/bin/sh\nexit {code}\n")
        queue.chmod(0o755)
        done = deliver(home, "condredirect", "sue@x.y", "true")
        assert done.code == told and done.err.startswith(b"condredirect: fatal: ")


def test_without_a_program_a_message_always_bounces(home: Home) -> None:
    assert deliver(home, "bouncesaying", "gone\naway") == (100, b"", b"gone\naway\n")
    assert deliver(home, "bouncesaying", "") == (100, b"", b"\n")
