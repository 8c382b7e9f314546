from __future__ import annotations

import os
from collections.abc import Iterator
from select import PIPE_BUF

import pytest

from mta.send.log import Log


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    with open(reading), open(writing, "w"):
        yield reading, writing


def written(reading: int) -> bytes:
    return os.read(reading, 1 << 20)


def test_what_comes_from_outside_is_made_harmless(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = Log(writing)
    log.info(5, 20, b"a b%c\n\x00\x7f\xe4~!", 7, 8)
    log.starting(1, 5, b"local", b"x y@z")
    log.verdict(1, b"Z", b"not\nnow 50% \xe4")
    log.verdict(2, b"?", b"anything")
    log.flush()
    assert written(reading).splitlines() == [
        b"info msg 5: bytes 20 from <a_b_c/___~!> qp 7 uid 8",
        b"starting delivery 1: msg 5 to local x_y@z",
        b"delivery 1: deferral: not/now_50___",
        b"delivery 2: report mangled, will defer",
    ]


def test_the_status_says_when_we_are_about_to_leave(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = Log(writing)
    counts = [(b"local", 1, 10), (b"remote", 0, 20)]
    log.status(counts, False)
    log.status(counts, True)
    log.flush()
    assert written(reading) == b"status: local 1/10 remote 0/20\nstatus: local 1/10 remote 0/20 exitasap\n"


def test_each_write_has_whole_lines_and_fits_into_a_pipe_at_once(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = Log(writing)
    for number in range(1000):
        log.end(number)
    assert len(log.gathered) <= PIPE_BUF
    before = written(reading)
    assert before.endswith(b"\n")
    log.flush()
    assert (before + written(reading)).splitlines() == [b"end msg %d" % number for number in range(1000)]


def test_mail_goes_on_when_nobody_reads_the_log() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = Log(writing)
    log.alert(b"nobody hears this")
    os.close(writing)
