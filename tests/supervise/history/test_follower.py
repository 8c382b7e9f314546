"""svlog -f: what comes, over rotations, once and in full."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from commands import run, start
from logfiles import at, lines, put, put_current, put_old
from until import until

from supervise import inotify
from supervise.history.directory import entries_of
from supervise.history.follower import PAUSE, SHORT_PAUSE, Follower, Watch
from supervise.stamp import label

ORIGINAL = "/usr/bin/multilog"
WRITERS = [
    "multilog",
    pytest.param(
        ORIGINAL, marks=pytest.mark.skipif(not Path(ORIGINAL).exists(), reason="daemontools is not installed")
    ),
]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QMAILHOME", raising=False)


class Following:
    """A `svlog -f` that runs."""

    def __init__(self, *words: str, env: dict[str, str] | None = None) -> None:
        self.out, self.err = Path("out"), Path("err")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = start("svlog", "-f", *words, stdout=out, stderr=err, env=env)

    def shown(self) -> bytes:
        """The lines that have been printed, as far as they are complete."""
        text = self.out.read_bytes()
        return text[: text.rfind(b"\n") + 1]

    def texts(self) -> list[bytes]:
        """The lines without their dates."""
        return [line.split(b" ", 2)[2] for line in self.shown().splitlines()]

    def until(self, text: bytes) -> None:
        """Wait until *text* is all that has been printed."""
        try:
            until(lambda: self.shown() == text)
        except AssertionError:
            assert self.shown() == text


@pytest.fixture
def following() -> Iterator[Callable[..., Following]]:
    started: list[Following] = []

    def begin(*words: str, env: dict[str, str] | None = None) -> Following:
        started.append(Following(*words, env=env))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


def append(path: Path, text: bytes) -> None:
    """Write more to a log."""
    with path.open("ab") as file:
        file.write(text)


def rotate(folder: Path, second: float, content: bytes = b"", ending: str = ".s") -> None:
    """Put current away, and begin another with *content*."""
    (folder / "current").rename(folder / (at(second).decode() + ending))
    put_current(folder, content)


LOG = Path("log")


# -- what is printed --------------------------------------------------------------------------------------------------


def test_the_last_ten_lines_are_printed_and_then_what_comes(following: Callable[..., Following]) -> None:
    put_old(LOG, 8, lines(*range(8)))
    put_current(LOG, lines(*range(8, 15)))
    svlog = following("-r", "log")
    svlog.until(lines(*range(5, 15)))
    append(LOG / "current", lines(15))
    svlog.until(lines(*range(5, 16)))


@pytest.mark.parametrize(
    ("words", "first"), [("-n 2", 13), ("--since " + at(3).decode(), 3), ("-n1 --since " + at(3).decode(), 14)]
)
def test_other_lines_before_are_printed_when_asked_for(
    words: str, first: int, following: Callable[..., Following]
) -> None:
    put_old(LOG, 8, lines(*range(8)))
    put_current(LOG, lines(*range(8, 15)))
    svlog = following("-r", "log", *words.split())
    svlog.until(lines(*range(first, 15)))
    append(LOG / "current", lines(15))
    svlog.until(lines(*range(first, 16)))


def test_no_line_before_is_printed_if_none_is_asked_for(following: Callable[..., Following]) -> None:
    put_current(LOG, lines(*range(15)))
    svlog = following("-r", "log", "-n0")
    seconds = iter(range(15, 1 << 30))
    until(lambda: append(LOG / "current", lines(next(seconds))) or svlog.shown())
    end = next(seconds)
    until(lambda: svlog.shown().endswith(lines(end - 1)))
    begin = end - svlog.shown().count(b"\n")
    assert begin >= 15
    assert svlog.shown() == lines(*range(begin, end))


def test_a_line_is_printed_when_it_is_complete(following: Callable[..., Following]) -> None:
    put_old(LOG, 1, at(1) + b" bro")
    put_current(LOG, b"ken")
    other = put_current(Path("other"), lines(1))
    svlog = following("-r", "log", "other")
    svlog.until(at(1) + b" other: line 1\n")
    append(LOG / "current", b" in two\n" + at(2))
    append(other, lines(2))
    before = at(1) + b" other: line 1\n" + at(1) + b" log: broken in two\n" + at(2) + b" other: line 2\n"
    until(lambda: sorted(svlog.shown().splitlines()) == sorted(before.splitlines()))
    append(LOG / "current", b" more\n")
    until(lambda: svlog.shown().endswith(at(2) + b" log: more\n"))


def test_a_line_that_a_crash_has_cut_ends_with_its_log(following: Callable[..., Following]) -> None:
    put_current(LOG, lines(1) + at(2) + b" cut")
    svlog = following("-r", "log")
    svlog.until(lines(1))
    rotate(LOG, 3, lines(4), ".u")
    svlog.until(lines(1) + at(2) + b" cut\n" + lines(4))


def test_what_the_processor_makes_of_a_log_is_not_printed_again(following: Callable[..., Following]) -> None:
    put_old(LOG, 1, lines(1))
    put_current(LOG, lines(2))
    svlog = following("-r", "log")
    svlog.until(lines(1, 2))
    shown = lines(1, 2)
    for second in range(10, 100, 10):
        append(LOG / "current", lines(second + 1))
        (LOG / "current").rename(LOG / "previous")
        put_current(LOG, lines(second + 2))
        put(LOG, "processed", lines(second + 1, what="processed"), 0o644 if second % 20 else 0o744)
        if second % 20:  # else it is slow, and is still at it when the next full log comes
            (LOG / "previous").unlink()
            (LOG / "processed").rename(LOG / (at(second + 3).decode() + ".s"))
        shown += lines(second + 1, second + 2)
        svlog.until(shown)
        if not second % 20:
            (LOG / "previous").unlink()
            (LOG / "processed").rename(LOG / (at(second + 3).decode() + ".s"))
        append(LOG / "current", lines(second + 4))
        shown += lines(second + 4)
        svlog.until(shown)


def test_a_log_that_somebody_has_emptied_is_read_from_its_beginning(following: Callable[..., Following]) -> None:
    current = put_current(LOG, lines(1, 2, 3))
    svlog = following("-r", "log")
    svlog.until(lines(1, 2, 3))
    os.truncate(current, 0)
    append(current, lines(4))
    svlog.until(lines(1, 2, 3, 4))


def test_lines_without_stamps_are_followed_too(following: Callable[..., Following]) -> None:
    put_current(LOG, b"one\n")
    svlog = following("--json", "log")
    until(lambda: svlog.shown().count(b"\n") == 1)
    append(LOG / "current", b"two\n")
    until(lambda: svlog.shown().count(b"\n") == 2)
    first, second = map(json.loads, svlog.shown().splitlines())
    assert (first["text"], second["text"]) == ("one", "two")
    assert first["time"] <= second["time"]
    assert first["tai64n"] is second["tai64n"] is None


def test_a_pattern_holds_for_what_comes(following: Callable[..., Following]) -> None:
    put_current(LOG, lines(*range(9)))
    svlog = following("-r", "-g", "[38]", "log")
    svlog.until(lines(3, 8))
    append(LOG / "current", lines(10, 13, 14))
    svlog.until(lines(3, 8, 13))


# -- rotations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("actions", [["s4096"], ["s8192", "!gzip"], ["s8192", "!cat"]])
def test_nothing_is_lost_or_doubled_while_multilog_rotates_quickly(
    writer: str, actions: list[str], following: Callable[..., Following]
) -> None:
    multilog = start(writer, "t", *actions, "n100000", "./log", stdin=subprocess.PIPE, bufsize=0)
    assert multilog.stdin
    multilog.stdin.write(b"begin\n")
    until(lambda: (LOG / "current").exists() and (LOG / "current").stat().st_size)
    svlog = following("log")
    until(lambda: svlog.texts() == [b"begin"])
    written = [b"line %d %b" % (number, b"x" * (number % 90)) for number in range(8000)]
    for begin in range(0, len(written), 50):
        multilog.stdin.write(b"".join(line + b"\n" for line in written[begin : begin + 50]))
    multilog.stdin.close()
    assert multilog.wait(60) == 0
    assert len(list(LOG.glob("@*"))) > 50
    until(lambda: len(svlog.texts()) > len(written))
    assert svlog.texts() == [b"begin", *written]


def test_of_logs_that_go_before_they_can_be_read_the_others_are_read(following: Callable[..., Following]) -> None:
    for second in (1, 2):
        put_old(LOG, second, lines(second))
    put_current(LOG, lines(3))
    svlog = following("-r", "log")
    svlog.until(lines(1, 2, 3))
    os.kill(svlog.process.pid, signal.SIGSTOP)
    for second in range(4, 9):
        rotate(LOG, second - 0.5, lines(second))
    for old in sorted(LOG.glob("@*"))[:-2]:
        old.unlink()
    os.kill(svlog.process.pid, signal.SIGCONT)
    svlog.until(lines(1, 2, 3, 6, 7, 8))


def test_a_log_that_is_compressed_before_we_look_is_not_printed_again(following: Callable[..., Following]) -> None:
    put_old(LOG, 1, lines(1))
    put_current(LOG, lines(2))
    svlog = following("-r", "log")
    svlog.until(lines(1, 2))
    os.kill(svlog.process.pid, signal.SIGSTOP)
    append(LOG / "current", lines(3))
    for second, ending in ((4, ".s.zst"), (6, ".s.gz"), (8, ".s")):
        text = (LOG / "current").read_bytes()
        (LOG / "current").unlink()
        put_old(LOG, second, text, ending)
        put_current(LOG, lines(second + 1))
    os.kill(svlog.process.pid, signal.SIGCONT)
    svlog.until(lines(1, 2, 3, 5, 7, 9))


def test_without_old_logs_to_go_by_times_tell_what_has_been_printed(following: Callable[..., Following]) -> None:
    put_current(LOG, lines(1, 2))
    svlog = following("-r", "log")
    svlog.until(lines(1, 2))
    (LOG / "current").unlink()
    put_old(LOG, 3, lines(1, 2, what="processed"))
    put_current(LOG, lines(4))
    svlog.until(lines(1, 2, 4))
    os.kill(svlog.process.pid, signal.SIGSTOP)
    for old in [*LOG.glob("@*"), LOG / "current"]:
        old.unlink()
    put_old(LOG, 7, lines(5, 6))
    put_current(LOG, lines(8))
    os.kill(svlog.process.pid, signal.SIGCONT)
    svlog.until(lines(1, 2, 4, 5, 6, 8))


def test_a_damaged_log_among_the_last_is_named(following: Callable[..., Following]) -> None:
    put_old(LOG, 1, lines(1))
    damaged = put_old(LOG, 2, lines(2), ".s.gz")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    put_current(LOG, b"")
    svlog = following("-r", "log")
    until(lambda: b"unable to read log/" + os.fsencode(damaged.name) in svlog.err.read_bytes())
    append(LOG / "current", lines(3))
    until(lambda: svlog.shown().endswith(lines(3)))


# -- directories that come and go --------------------------------------------------------------------------------------


def test_logs_that_appear_later_are_followed(following: Callable[..., Following]) -> None:
    Path("service/web/log").mkdir(parents=True)
    put_current(Path("service/mail/log/main"), lines(1))
    svlog = following("-r", env={"SVDIR": "service"})
    svlog.until(at(1) + b" mail: line 1\n")
    multilog = start("multilog", "t", "./service/web/log/main", stdin=subprocess.PIPE)
    assert multilog.stdin
    multilog.stdin.write(b"hello\n")
    multilog.stdin.close()
    assert multilog.wait(20) == 0
    until(lambda: re.search(rb"^@[0-9a-f]{24} web: hello\n\Z", svlog.shown(), re.M))
    old = put_current(Path("elsewhere/log/main"), lines(-(10**9)))
    Path("service/old").symlink_to("../elsewhere")
    append(old, label() + b" new\n")
    until(lambda: svlog.shown().endswith(b" old: new\n"))
    assert svlog.shown().count(b"old:") == 1  # what has been in it before is not printed


def test_a_service_whose_logs_are_not_there_yet_is_waited_for(following: Callable[..., Following]) -> None:
    Path("web").mkdir()
    svlog = following("-r", "web")
    until(lambda: svlog.err.read_bytes() == b"svlog: warning: no logs in web\n")
    put_current(Path("web/log/main"), b"hello\n")
    svlog.until(b"hello\n")


def test_what_is_nothing_is_not_waited_for() -> None:
    done = run("svlog", "-f", "nosuch")
    assert done == (111, b"", b"svlog: warning: there is no service or directory nosuch\n")


def test_a_directory_that_is_made_anew_is_followed(following: Callable[..., Following]) -> None:
    put_old(LOG, 1, lines(1))
    put_current(LOG, lines(2))
    svlog = following("-r", "log")
    svlog.until(lines(1, 2))
    shutil.rmtree(LOG)
    put_current(LOG, lines(3))
    svlog.until(lines(1, 2, 3))
    append(LOG / "current", lines(4))
    svlog.until(lines(1, 2, 3, 4))


def test_a_directory_between_two_logs_is_followed(following: Callable[..., Following]) -> None:
    put_old(LOG, 1, lines(1))
    svlog = following("-r", "log")
    svlog.until(lines(1))
    put_current(LOG, lines(2))
    svlog.until(lines(1, 2))


# -- how it waits, and how it ends ------------------------------------------------------------------------------------


def test_it_sleeps_while_nothing_happens(following: Callable[..., Following]) -> None:
    put_current(LOG, lines(1))
    svlog = following("-r", "log")
    svlog.until(lines(1))
    process = psutil.Process(svlog.process.pid)
    begin = process.num_ctx_switches().voluntary
    used = sum(process.cpu_times()[:2])
    until(lambda: process.num_ctx_switches().voluntary >= begin + 3)
    assert sum(process.cpu_times()[:2]) - used < 0.5


def refused() -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_it_looks_again_by_itself_where_nothing_can_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inotify, "Inotify", refused)
    put_current(LOG, lines(1))
    watch = Watch()
    watch.add(b"log")
    assert watch.pause == SHORT_PAUSE
    follower = Follower(b"log", 0, print)
    assert [line for _, _, line in entries_of(follower.whole, 0, print)] == lines(1).splitlines()
    append(LOG / "current", lines(2))
    assert watch.wait()
    assert [line for _, _, line in follower.entries()] == lines(2).splitlines()
    follower.take([])


def test_a_directory_that_cannot_be_listened_to_is_looked_at_more_often() -> None:
    watch = Watch()
    assert watch.pause == PAUSE
    watch.add(b"nosuch")
    assert watch.pause == SHORT_PAUSE
    assert watch.inotify
    watch.inotify.close()


def test_it_ends_when_nobody_reads_any_more() -> None:
    put_current(LOG, lines(1))
    svlog = start("svlog", "-f", "log", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert svlog.stdout and svlog.stderr
    assert svlog.stdout.readline()
    svlog.stdout.close()  # and no line comes that could not be written
    assert svlog.wait(20) == 0
    assert svlog.stderr.read() == b""
    svlog.stderr.close()


def test_it_ends_quietly_with_control_c() -> None:
    put_current(LOG, lines(1))
    shell = start("sh", "-c", "svlog -f log; echo $?", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert shell.stdout and shell.stderr
    assert shell.stdout.readline()
    (svlog,) = until(lambda: psutil.Process(shell.pid).children())
    svlog.send_signal(signal.SIGINT)
    assert shell.stdout.read() == b"130\n"
    assert shell.stderr.read() == b""
    assert shell.wait(20) == 0
    shell.stdout.close()
    shell.stderr.close()
