"""multilog as a process: signals, input in pieces, and the same logs as the original's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import environment, run, start
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from until import until

from supervise.log.multilog import main

ORIGINAL = Path("/usr/bin/multilog")
LABEL = re.compile(rb"@[0-9a-f]{24}")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Running:
    """A multilog whose input we write."""

    def __init__(self, *words: str, err: int | None = None) -> None:
        self.reading, self.writing = os.pipe()
        self.process = start("multilog", *words, stdin=self.reading, stderr=err)
        until(lambda: Path("log/current").exists() and Path("log/current").stat().st_mode & 0o777 == 0o644)

    def write(self, text: bytes) -> None:
        os.write(self.writing, text)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """Close its input; its exit code."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1
        return self.process.wait(20)


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(*words: str, err: int | None = None) -> Running:
        started.append(Running(*words, err=err))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.end()
        os.close(one.reading)


def current() -> bytes:
    try:
        return Path("log/current").read_bytes()
    except FileNotFoundError:  # between two logs
        return b""


def old() -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path("log").glob("@*"))]


def mode() -> int:
    return Path("log/current").stat().st_mode & 0o777


def test_a_line_is_written_when_it_is_complete(running: Callable[..., Running]) -> None:
    multilog = running("./log")
    multilog.write(b"one\ntw")
    until(lambda: current() == b"one\n")
    multilog.write(b"o\n")
    until(lambda: current() == b"one\ntwo\n")
    multilog.write(b"three")
    assert multilog.end() == 0
    assert (current(), mode()) == (b"one\ntwo\nthree\n", 0o744)


def test_a_long_line_is_written_before_it_is_complete(running: Callable[..., Running]) -> None:
    multilog = running("-*", "+xy*", "./log")
    multilog.write(b"x" * 1000)
    multilog.write(b"\nxy" + b"y" * 998)
    until(lambda: current() == b"xy" + b"y" * 998)
    multilog.write(b"z" * 3000)
    until(lambda: len(current()) == 4000)
    multilog.write(b"\nx")
    assert multilog.end() == 0
    assert current() == b"xy" + b"y" * 998 + b"z" * 3000 + b"\n"


def test_term_between_lines_ends_it_at_once(running: Callable[..., Running]) -> None:
    multilog = running("./log")
    multilog.write(b"one\n")
    until(lambda: current() == b"one\n")
    multilog.signal(signal.SIGTERM)
    assert multilog.process.wait(20) == 0
    assert (current(), mode()) == (b"one\n", 0o744)


@pytest.mark.parametrize("begin", [b"par", b"p" * 2000])
def test_term_within_a_line_waits_for_its_end_and_reads_no_further(
    begin: bytes, running: Callable[..., Running]
) -> None:
    multilog = running("./log")
    multilog.write(b"one\n" + begin)
    until(lambda: current().startswith(b"one\n"))
    multilog.signal(signal.SIGTERM)
    multilog.signal(signal.SIGALRM)  # handled, so TERM has been seen
    until(old)
    multilog.write(b"tial\nfor the next\n")
    assert multilog.process.wait(20) == 0
    assert b"".join(old()) + current() == b"one\n" + begin + b"tial\n"
    assert os.read(multilog.reading, 100) == b"for the next\n"


def test_term_and_the_end_of_input_within_a_line(running: Callable[..., Running]) -> None:
    multilog = running("./log")
    multilog.write(b"one\ntw")
    until(lambda: current() == b"one\n")
    multilog.signal(signal.SIGTERM)
    assert multilog.end() == 0
    assert (current(), mode()) == (b"one\ntw\n", 0o744)


def test_alrm_makes_old_logs_of_what_is_not_empty(running: Callable[..., Running]) -> None:
    multilog = running("./log")
    for number in range(3):
        multilog.write(b"%d\n" % number)
        until(lambda number=number: current() == b"%d\n" % number)
        multilog.signal(signal.SIGALRM)
        until(lambda number=number: len(old()) == number + 1)
        multilog.signal(signal.SIGALRM)  # an empty one stays
    multilog.write(b"end\n")
    until(lambda: current() == b"end\n")
    assert old() == [b"0\n", b"1\n", b"2\n"]


def test_nobody_at_descriptor_2_costs_no_line(running: Callable[..., Running]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    multilog = running("e", "./log", err=writing)
    os.close(writing)
    multilog.write(b"one\n")
    until(lambda: current() == b"one\n")
    multilog.write(b"two\n")
    assert multilog.end() == 0
    assert current() == b"one\ntwo\n"


def test_after_a_kill_the_next_one_goes_on_where_it_was(running: Callable[..., Running]) -> None:
    multilog = running("t", "./log")
    multilog.write(b"one\n")
    until(lambda: current().endswith(b" one\n"))
    multilog.signal(signal.SIGKILL)
    multilog.process.wait(20)
    assert mode() == 0o644
    assert run("multilog", "t", "./log", input=b"two\n").code == 0
    assert [line[26:] for line in current().splitlines()] == [b"one", b"two"]
    assert not old()


def test_all_lines_of_one_read_have_one_stamp_and_later_ones_a_later_one(running: Callable[..., Running]) -> None:
    multilog = running("t", "./log")
    for number in range(3):
        multilog.write(b"a\nb\n")
        until(lambda number=number: current().count(b"\n") == 2 * (number + 1))
    stamps = [line[:25] for line in current().splitlines()]
    assert stamps == sorted(stamps)
    assert [stamps.count(stamp) for stamp in stamps] == [2] * 6


def test_a_status_file_follows_the_last_line(running: Callable[..., Running]) -> None:
    multilog = running("-*", "+a*", "=status", "./log")
    for line in (b"apple", b"a" * 2000, b"avocado"):
        multilog.write(line + b"\nb\n")
        until(lambda line=line: Path("status").read_bytes() == line[:1000].ljust(1001, b"\n"))
    assert Path("status").stat().st_mode & 0o777 == 0o600


def test_input_that_cannot_be_read_ends_it_cleanly() -> None:
    done = run("sh", "-c", "multilog ./log 0>nothing")
    assert done == (0, b"", b"multilog: warning: unable to read input: file descriptor not open\n")
    assert mode() == 0o744


lengths = (
    st.integers(0, 120)
    | st.integers(0, 1500)
    | st.sampled_from([510, 511, 512, 513, 998, 999, 1000, 1001, 1023, 1024, 4096])
)
texts = st.builds(
    lambda marks, sizes, repeat, end: b"".join(
        (marks + b"%d " % number).ljust(size, b"x")[:size] + b"\n" for number, size in enumerate(sizes * repeat)
    )[: None if end else -1],
    st.sampled_from([b"x", b"ab", b"a*b", b"\0", b"\r"]),
    st.lists(lengths, min_size=1, max_size=25),
    st.integers(1, 12),
    st.booleans(),
)
patterns = [b"-*", b"+*", b"-x*", b"+*x", b"-*1*", b"+*2*", b"+**", b"-", b"-*\0*", b"+*xx*"]
words = st.lists(
    st.sampled_from(patterns)
    | st.sampled_from([b"s0", b"s5000", b"s20000", b"e", b"=status", b"./a", b"./b", b"./log", b"n"]),
    max_size=8,
)


def outcome() -> list[tuple[bytes, int, bytes]]:
    """Every file below here with its mode, labels masked, old logs in their order."""
    found = []
    for folder, _, names in os.walk(b"."):
        for name in sorted(names):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found.append((LABEL.sub(b"@", path), os.stat(path).st_mode, LABEL.sub(b"@", file.read())))
    return sorted(found, key=lambda entry: entry[0])


@pytest.mark.skipif(not ORIGINAL.exists(), reason="daemontools is not installed")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, chosen=words, stamped=st.booleans())
def test_logs_are_those_of_the_original(text: bytes, chosen: list[bytes], stamped: bool, tmp_path: Path) -> None:
    digits = any(b"1" in word or b"2" in word for word in chosen if word[:1] in b"+-")  # of a stamp, by chance
    argv = [b"t"] * (stamped and not digits) + [word for word in chosen if b"\0" not in word]
    argv = [word for at, word in enumerate(argv) if not word.startswith(b".") or word not in argv[:at]]
    Path("input").write_bytes(text)
    outcomes = []
    for program in (ORIGINAL, None):
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        os.chdir(scratch)
        with open("../input", "rb") as file:
            if program:
                done = subprocess.run(
                    [program, *argv], stdin=file, stderr=subprocess.PIPE, timeout=20, env=environment()
                )
            else:
                done = forked([b"multilog", *argv], file.fileno())
        os.chdir(scratch)
        outcomes.append((done.returncode, LABEL.sub(b"@", done.stderr), outcome()))
        os.chdir(tmp_path)
        shutil.rmtree(scratch)
    assert outcomes[1] == outcomes[0]


def forked(argv: list[bytes], fd: int) -> subprocess.CompletedProcess[bytes]:
    """Our multilog in a child without a new interpreter."""
    pid = os.fork()
    if pid == 0:
        os.dup2(fd, 0)
        os.dup2(os.open("../errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os._exit(main(argv))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return subprocess.CompletedProcess(argv, code, b"", Path("../errors").read_bytes())
