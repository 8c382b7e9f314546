"""Stamps in front of lines, and dates instead of stamps."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from commands import environment, run, start
from hypothesis import given, settings
from hypothesis import strategies as st

from supervise.log.tai64nlocal import Dates
from supervise.stamp import label

ORIGINAL = Path("/usr/bin/tai64nlocal")


def test_a_line_that_comes_in_parts_has_one_stamp() -> None:
    process = start("tai64n", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin and process.stdout
    process.stdin.write(b"on")
    assert re.fullmatch(rb"@[0-9a-f]{24} on", process.stdout.read(100))
    process.stdin.write(b"e\n\ntwo\n")
    assert re.fullmatch(rb"e\n(@[0-9a-f]{24}) \n\1 two\n", process.stdout.read(100))
    process.stdin.write(b"x")
    assert re.fullmatch(rb"@[0-9a-f]{24} x", process.stdout.read(100))
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_stamps_are_of_now() -> None:
    before = label()
    done = run("tai64n", input=b"x\n")
    assert before < done.out[:25] < label()


def test_what_cannot_be_written_is_temporary() -> None:
    for name, line in (("tai64n", b"x\n"), ("tai64nlocal", b"@40000000000000000000000000 x\n")):
        done = run("sh", "-c", f"{name} >/dev/full", input=line)
        assert done == (111, b"", name.encode() + b": fatal: unable to write output: out of disk space\n")


def test_a_stamp_that_comes_in_parts_becomes_one_date() -> None:
    process = start("tai64nlocal", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin and process.stdout
    process.stdin.write(b"plain\n@4000000037c2")
    assert process.stdout.read(100) == b"plain\n"
    process.stdin.write(b"19bf2ef02e94")
    process.stdin.write(b" mark")
    assert process.stdout.read(100) == b"1999-08-24 04:04:05.787492500 mark"
    process.stdin.write(b"@4000000037c219bf2ef02e94\n@")
    assert process.stdout.read(100) == b"@4000000037c219bf2ef02e94\n"
    process.stdin.write(b"4000000037c219bf2ef02e94\n@4")
    assert process.stdout.read(100) == b"1999-08-24 04:04:05.787492500\n"
    process.stdin.close()
    assert process.wait(20) == 0
    assert process.stdout.read() == b""
    process.stdout.close()


@pytest.mark.parametrize(
    "line", [b"@", b"@@", b"@1", b"@x", b"@4000000037c219bf", b"@ffffffffffffffff00000000 x", b"@" + b"0" * 24]
)
def test_what_no_calendar_reaches_stays_as_it_is(line: bytes) -> None:
    assert run("tai64nlocal", input=line + b"\n") == (0, line + b"\n", b"")


def test_one_second_after_another() -> None:
    dates = Dates()
    zero = 1 << 62
    lines = [b"@%016x%08x" % (zero + second, nano) for second, nano in ((10, 5), (10, 6), (11, 0), (10, 7), (9, 1))]
    ends = [dates.replaced(line)[-12:] for line in lines]
    assert ends == [b"00.000000005", b"00.000000006", b"01.000000000", b"00.000000007", b"59.000000001"]


stamps = st.builds(
    lambda seconds, nano: b"@%016x%08x" % ((1 << 62) + seconds, nano),
    st.integers(-(10**10), 10**10) | st.integers(0, 4 * 10**9),
    st.integers(0, (1 << 32) - 1),
)
lines = st.builds(
    lambda front, back: front + back, stamps | st.sampled_from([b"", b"x", b" @"]), st.binary(max_size=12)
)


@pytest.mark.skipif(not ORIGINAL.exists(), reason="daemontools is not installed")
@settings(max_examples=20, deadline=None)
@given(st.lists(lines, min_size=5, max_size=30), st.sampled_from(["UTC", "America/Chicago", "Asia/Kathmandu"]))
def test_dates_are_those_of_the_original(some: list[bytes], zone: str) -> None:
    text = b"\n".join(some) + b"\n"
    env = environment({"TZ": zone})
    done = subprocess.run([ORIGINAL], input=text, capture_output=True, env=env, timeout=20, check=False)
    if done.returncode == 0:  # else it has crashed, as it does where no calendar reaches
        assert run("tai64nlocal", input=text, env={"TZ": zone}).out == done.stdout
