"""multilog as a process: signals, input in pieces, and the same logs as the original's."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import BIN, environment, run, start
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from until import until

from supervise.log.multilog import main
from supervise.log.pipe import LARGE

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


SLOW = "!echo x > started; until [ -e go ]; do sleep 0.01; done; cat"


def test_term_while_a_processor_runs_waits_for_it(running: Callable[..., Running]) -> None:
    multilog = running("s4096", SLOW, "./log")
    multilog.write(b"x" * 99 + b"\n" + b"y" * 4090 + b"\nlast\n")
    until(Path("log/started").exists)
    multilog.signal(signal.SIGTERM)
    multilog.write(b"for the next\n")
    Path("log/go").touch()
    assert multilog.process.wait(20) == 0
    assert b"".join(old()) + current() == b"x" * 99 + b"\n" + b"y" * 4090 + b"\nlast\n"
    assert mode() == 0o744
    assert os.read(multilog.reading, 100) == b"for the next\n"


def test_alrm_while_a_processor_runs_makes_an_old_log_afterwards(running: Callable[..., Running]) -> None:
    multilog = running("s4096", SLOW, "./log")
    first, second = b"y" * 4090 + b"\n", b"z" * 1500 + b"\n"
    multilog.write(first + second)
    until(Path("log/started").exists)
    multilog.signal(signal.SIGALRM)
    Path("log/go").touch()
    until(lambda: old() == [first, second])
    assert multilog.end() == 0


def test_a_kill_while_a_processor_runs_leaves_the_log_as_it_was(running: Callable[..., Running]) -> None:
    multilog = running("s4096", SLOW, "./log")
    multilog.write(b"y" * 4090 + b"\n")
    until(Path("log/started").exists)
    multilog.write(b"last\n")
    multilog.signal(signal.SIGKILL)
    multilog.process.wait(20)
    Path("log/go").touch()
    multilog.write(b"more\n")
    os.close(multilog.writing)
    multilog.writing = -1
    assert start("multilog", "s4096", "./log", stdin=multilog.reading).wait(20) == 0
    assert [path.suffix for path in Path("log").glob("@*")] == [".u"]
    assert (old(), current()) == ([b"y" * 4090 + b"\n"], b"last\nmore\n")


def test_a_directory_that_is_removed_under_it_does_not_keep_it_from_ending(running: Callable[..., Running]) -> None:
    multilog = running("./log")
    shutil.rmtree("log")
    multilog.write(b"lost\n")
    multilog.signal(signal.SIGTERM)
    assert multilog.process.wait(20) == 0


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


@pytest.mark.parametrize("who", [BIN / "multilog", Path("/usr/bin/multilog")], ids=["ours", "original"])
def test_a_descriptor_that_is_closed_counts_as_the_end_of_input(tmp_path: Path, who: Path) -> None:
    if not who.exists():
        pytest.skip(f"no {who} here")
    done = run("sh", "-c", f"exec {who} t ./log <&-", cwd=tmp_path)
    assert (done.code, done.out) == (0, b"")
    if who.parent == BIN:
        assert done.err == b"multilog: warning: unable to read input: file descriptor not open\n"
    assert (tmp_path / "log" / "current").read_bytes() == b""
    assert (tmp_path / "log" / "current").stat().st_mode & 0o777 == 0o744


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


has_original = pytest.mark.skipif(not ORIGINAL.exists(), reason="daemontools is not installed")


@has_original
@example(text=b"\nx\n", chosen=[b"=status", b"-x*", b"=status"], stamped=False, piped=False)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, chosen=words, stamped=st.booleans(), piped=st.booleans())
def test_logs_are_those_of_the_original(
    text: bytes, chosen: list[bytes], stamped: bool, piped: bool, tmp_path: Path
) -> None:
    digits = any(b"1" in word or b"2" in word for word in chosen if word[:1] in b"+-")  # of a stamp, by chance
    argv = [b"t"] * (stamped and not digits) + [word for word in chosen if b"\0" not in word]
    argv = [word for at, word in enumerate(argv) if not word.startswith(b".") or word not in argv[:at]]
    ours, original = both(tmp_path, argv, text, piped)
    assert ours == original


left = st.dictionaries(
    st.sampled_from(["current", "previous", "processed", "state", "newstate", "@" + "4" * 24 + ".s", "@4.s"]),
    st.tuples(
        st.sampled_from([b"", b"some\n", b"half", b"x" * 3000 + b"\n", b"x" * 5000]),
        st.sampled_from([0o644, 0o744, 0o600, 0o100, 0o700, 0o755, 0o444, 0o044]),
    ),
)
processors = st.sampled_from([b"!cat", b"!tr a-z A-Z; cat <&4; echo x >&5", b"!wc -c >&5", b"!rm newstate; cat"])


@has_original
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, files=left, linked=st.sampled_from(["", "", "current", "previous"]), more=st.lists(processors))
def test_what_was_left_is_dealt_with_as_the_original_does(
    text: bytes, files: dict[str, tuple[bytes, int]], linked: str, more: list[bytes], tmp_path: Path
) -> None:
    if files.get("current", (b"", 0))[1] & 0o100:  # what no multilog leaves, and the original would lose or not bear
        files.pop("previous", None)
        files.setdefault("state", (b"", 0o644))

    def lay() -> None:
        folder = Path("log")
        folder.mkdir()
        for name, (content, mode) in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(mode)
        if linked in files:
            (folder / "link").hardlink_to(folder / linked)

    ours, original = both(tmp_path, [b"s4096", b"n3", *more[:1], b"./log"], text[:30_000], True, lay)
    assert ours == original


@has_original
@pytest.mark.parametrize(
    ("name", "mode"),  # those for which the original does not wait for ever
    [("current", 0o755), ("processed", 0o644), ("state", 0o755), ("newstate", 0o755), ("lock", 0o755)],
)
def test_a_directory_in_the_place_of_a_file_is_taken_as_the_original_takes_it(
    name: str, mode: int, tmp_path: Path
) -> None:
    def lay() -> None:
        Path("log", name).mkdir(parents=True)
        Path("log", name, "inside").touch()
        Path("log", name).chmod(mode)

    ours, original = both(tmp_path, [b"./log"], b"new\n", True, lay)
    assert ours == original


Outcome = tuple[int, bytes, list[tuple[bytes, int, bytes]]]


def both(
    tmp_path: Path, argv: list[bytes], text: bytes, piped: bool, lay: Callable[[], None] = lambda: None
) -> list[Outcome]:
    """What ours and the original make of the same: exit code, what they say, and files."""
    outcomes = []
    for program in (None, ORIGINAL):
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        os.chdir(scratch)
        lay()
        fd = as_input(text, piped)
        if program:
            done = subprocess.run([program, *argv], stdin=fd, stderr=subprocess.PIPE, timeout=20, env=environment())
        else:
            done = forked([b"multilog", *argv], fd)
        os.close(fd)
        os.chdir(scratch)
        outcomes.append((done.returncode, LABEL.sub(b"@", done.stderr), outcome()))
        os.chdir(tmp_path)
        shutil.rmtree(scratch)
    return outcomes


def as_input(text: bytes, piped: bool) -> int:
    """A descriptor to read *text* from."""
    if not piped or len(text) > LARGE:
        Path("../input").write_bytes(text)
        return os.open("../input", os.O_RDONLY)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, LARGE)
    assert os.write(writing, text) == len(text)
    os.close(writing)
    return reading


def forked(argv: list[bytes], fd: int) -> subprocess.CompletedProcess[bytes]:
    """Our multilog in a child without a new interpreter."""
    pid = os.fork()
    if pid == 0:
        os.dup2(fd, 0)
        os.dup2(os.open("../errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os._exit(main(argv))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return subprocess.CompletedProcess(argv, code, b"", Path("../errors").read_bytes())
