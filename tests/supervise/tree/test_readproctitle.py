"""readproctitle: the end of its input, in the list of processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, run, start
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from services import DEBIAN, gone
from until import until

from supervise.program import spawn
from supervise.tree import readproctitle

ORIGINAL = pytest.mark.skipif(not (DEBIAN / "readproctitle").exists(), reason="no original")
BINS = [BIN, pytest.param(DEBIAN, marks=ORIGINAL)]
DOTS = b"." * 30


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class Started:
    """A readproctitle with a pipe to talk to it."""

    def __init__(self, program: str | Path, *words: bytes | str) -> None:
        self.process = start(program, *words, stdin=subprocess.PIPE)
        self.name = b"readproctitle" if program == BIN / "readproctitle" else os.fsencode(program)

    def shows(self, *words: bytes) -> None:
        """Wait until the arguments are *words*, byte for byte."""
        wanted = b"".join(word + b"\0" for word in words)
        until(lambda: cmdline(self.process.pid) == wanted, what=repr((cmdline(self.process.pid), wanted)))

    def say(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self) -> int:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        return self.process.wait(10)


@pytest.fixture(params=BINS)
def started(request: pytest.FixtureRequest) -> Iterator[Started]:
    started = Started(request.param / "readproctitle", "service", "err ors:", DOTS)
    yield started
    started.end()


def expected(text: bytes, size: int) -> bytes:
    """What *size* bytes of window show of *text*."""
    return b"..." + (b"." * size + text.replace(b"\0", b""))[3 - size :]


def test_what_comes_in_moves_the_rest_to_the_left_and_three_dots_stay(started: Started) -> None:
    said = b""
    started.shows(started.name, b"service", b"err ors:", DOTS)
    for text in (b"supervise: fatal\n", b"", b"\xff\t\r\n", b"a\0b", b"x" * 26, b"y", b"0123456789" * 5000 + b"end"):
        started.say(text)
        said += text
        started.shows(started.name, b"service", b"err ors:", expected(said, len(DOTS)))
    assert started.end() == 0


def test_the_last_argument_begins_as_dots_whatever_it_was() -> None:
    started = Started(BIN / "readproctitle", "abcdefgh")
    started.shows(started.name, b"........")
    assert started.end() == 0


def test_ps_shows_it(started: Started) -> None:
    started.say(b"one\ntwo\n")
    started.shows(started.name, b"service", b"err ors:", expected(b"one\ntwo\n", len(DOTS)))
    done = run("ps", "-ww", "-o", "comm=,args=", "-p", str(started.process.pid))
    comm, args = done.out.decode().split(maxsplit=1)
    assert comm == "readproctitle"
    assert args.rstrip().endswith("service err ors: ......................one two")


@ORIGINAL
@settings(max_examples=15, deadline=None, phases=[Phase.generate])  # each takes a start: no shrinking
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.integers(5, 40))
def test_ours_and_the_original_show_the_same(pieces: list[bytes], size: int) -> None:
    both = [Started(bin / "readproctitle", b"\xff", b"", b"x" * size) for bin in (BIN, DEBIAN)]
    for piece in pieces:
        for each in both:
            each.say(piece)
    for each in both:
        try:
            each.shows(each.name, b"\xff", b"", expected(b"".join(pieces), size))
        finally:
            assert each.end() == 0


@pytest.mark.parametrize("bin", BINS)
@pytest.mark.parametrize("words", [[], ["x"], ["...."], ["x", "...."], ["........", ""]])
def test_wrong_usage_is_answered_without_a_word(bin: Path, words: list[str]) -> None:
    assert run(bin / "readproctitle", *words) == (100, b"", b"")


@pytest.mark.parametrize("bin", BINS)
@pytest.mark.parametrize("words", [["....."], ["", "....."]])
def test_five_dots_are_enough(bin: Path, words: list[str]) -> None:
    assert run(bin / "readproctitle", *words) == (0, b"", b"")


@pytest.mark.parametrize("bin", BINS)
def test_input_that_cannot_be_read_ends_it_without_a_word(bin: Path) -> None:
    done = run("sh", "-c", f"exec {bin}/readproctitle x ........ <&-")
    assert done == (111, b"", b"")


def test_a_fork_of_a_small_process_shows_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    reading, writing = os.pipe()
    pid = spawn([b"readproctitle", b"service", b"errors:", b"." * 20000], {0: reading})
    os.close(reading)
    os.write(writing, b"hello\n")
    wanted = b"readproctitle\0service\0errors:\0" + expected(b"hello\n", 20000) + b"\0"
    until(lambda: cmdline(pid) == wanted)
    assert Path(f"/proc/{pid}/comm").read_text() == "readproctitle\n"
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0


def test_where_the_kernel_moves_no_arguments_the_end_shows_in_what_room_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readproctitle, "arguments", lambda argv: None)
    reading, writing = os.pipe()
    pid = spawn(lambda: readproctitle.main([b"readproctitle", b"errors:", b"." * 1_000_000]), {0: reading})
    os.close(reading)
    for text in (b"first\n", b"second\n"):
        os.write(writing, text)
        until(lambda text=text: cmdline(pid).rstrip(b"\0").endswith(text))
    assert cmdline(pid).startswith(b"readproctitle errors: .....")
    assert b".first\nsecond\n" in cmdline(pid)
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.root
def test_it_may_run_as_anybody() -> None:
    started = Started("setuidgid", "nobody", "readproctitle", "errors:", DOTS)
    started.say(b"hello\n")
    started.shows(b"readproctitle", b"errors:", expected(b"hello\n", len(DOTS)))
    assert started.end() == 0


def test_it_ends_when_nobody_can_say_anything_any_more() -> None:
    started = Started(BIN / "readproctitle", "x", DOTS)
    pid = started.process.pid
    other = subprocess.Popen(["sleep", "1000"], stdout=started.process.stdin)
    assert started.process.stdin
    started.process.stdin.close()
    started.shows(started.name, b"x", DOTS)
    assert not gone(pid)
    other.kill()
    other.wait()
    assert started.end() == 0
