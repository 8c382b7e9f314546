"""Kill -9 at any moment: each line is in the logs exactly once, whole, and in its place."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of, killed
from until import until

from supervise.log import left, multilog, patience, pipe

STAMP = re.compile(rb"^@[0-9a-f]{24} ", re.M)
COLOURS = (b"red", b"green", b"blue")
LINES = [b"%03d %b %b" % (at, COLOURS[at % 3], b"." * (at * 7 % 150)) for at in range(150)]
LINES[40] += b"x" * 1500
LINES[41] += b"y" * 980
LINES[90] += b"z" * 5000


def lines_with(*words: bytes) -> bytes:
    """The lines that have one of these words, each with its line end."""
    return b"".join(line + b"\n" for line in LINES if any(word in line for word in words))


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("SMALL", "LARGE"):  # bytes, so that there are several pieces
        monkeypatch.setattr(pipe, name, 2000)
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # a kill leaves to the kernel what was not synced
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    yield
    while worlds:
        worlds.pop().close()


worlds: list[World] = []  # those of the test


class World:
    """A pipe, and one multilog after another that reads it.

    Args:
        words: their arguments.
        text: what is in the pipe.
    """

    def __init__(self, *words: bytes, text: bytes = b"".join(line + b"\n" for line in LINES)) -> None:
        self.folder = Path.cwd()
        self.words, self.text = words, text
        self.reading, self.writing = os.pipe()
        worlds.append(self)
        self.write(text)

    def write(self, text: bytes) -> None:
        os.set_blocking(self.writing, False)
        assert os.write(self.writing, text) == len(text)

    def end(self) -> None:
        """Write no more."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def fresh(self) -> None:
        """No logs, and all the text in a new pipe."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.another_pipe()
        self.write(self.text)
        self.end()

    def another_pipe(self) -> None:
        self.close()
        self.reading, self.writing = os.pipe()

    def close(self) -> None:
        self.end()
        os.close(self.reading)

    def read_from(self, file: str) -> None:
        """Let the input be a file."""
        with open(file) as stream:
            os.dup2(stream.fileno(), self.reading)

    def multilog(self) -> None:
        """Run one in this process, to the end of the input."""
        os.dup2(self.reading, 0)
        self.end()
        os.chdir(self.folder)
        assert multilog.main([b"multilog", *self.words]) == 0

    def kill(self, call: str, number: int = 0, after: bool = True) -> None:
        """Run one that is killed after it has made, or before it makes, that call for the *number*th time."""
        assert killed(self.multilog, number, calls=[call], torn=False, after=after) == -9

    def go_on(self, *words: bytes) -> None:
        """Run one that lives, and close the pipe."""
        self.words = words or self.words
        self.end()
        assert killed(self.multilog, 10_000) == 0


def old(name: str) -> list[Path]:
    return sorted(Path(name).glob("@*"))


def logged(name: str) -> bytes:
    """All that is in a log directory, without labels."""
    return STAMP.sub(b"", b"".join(path.read_bytes() for path in [*old(name), Path(name, "current")]))


SCRIPTS: dict[str, tuple[list[bytes], dict[str, tuple[bytes, ...]]]] = {
    "one directory": ([b"s4096", b"n99", b"./a"], {"a": COLOURS}),
    "labels": ([b"t", b"s4096", b"n99", b"./a"], {"a": COLOURS}),
    "three directories and patterns": (
        [b"t", b"n99", b"./a", b"-*", b"+* * red*", b"s4096", b"./b", b"+* * green*", b"./c"],
        {"a": COLOURS, "b": COLOURS[:1], "c": COLOURS[:2]},
    ),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_kill_at_any_call_costs_nothing(case: str) -> None:
    words, expected = SCRIPTS[case]
    world = World(*words)
    for lethal in crashes_of(world.multilog, world.fresh):
        world.go_on()
        for name, colours in expected.items():
            assert logged(name) == lines_with(*colours), lethal
        assert {path.name for path in Path("a").glob("[!@]*")} == {"current", "lock", "state"}
        assert Path("a/current").stat().st_mode & 0o777 == 0o744


def test_a_kill_around_a_processor_costs_nothing() -> None:
    text = b"".join(line + b"\n" for line in LINES[:35])
    world = World(b"t", b"s4096", b"n99", b"!cat; cat <&4 >&5; echo x >&5", b"./a", text=text)
    for lethal in crashes_of(world.multilog, world.fresh):
        # Of a processor whose multilog is killed as it starts, the lock is held until it has closed all.
        until(lambda: killed(world.multilog, 10_000) == 0)
        assert logged("a") == text, lethal


def test_what_is_selected_by_its_label_stays_where_it_was() -> None:
    """When lines are logged again, they get the labels that they had, so patterns find them again."""
    world = World(b"t", b"s4096", b"n99", b"-*f*", b"./without", b"-*", b"+*f*", b"./with")
    for lethal in crashes_of(world.multilog, world.fresh):
        world.go_on()
        lines = (logged("without") + logged("with")).splitlines()
        assert sorted(lines) == LINES, lethal


def test_a_kill_while_what_was_left_is_logged_costs_nothing_either() -> None:
    words, expected = SCRIPTS["three directories and patterns"]
    world = World(*words)
    for first in range(0, 400, 37):

        def once_killed(first: int = first) -> None:
            world.fresh()
            killed(world.multilog, first)

        for lethal in crashes_of(world.multilog, once_killed):
            if lethal > 60:
                break
            world.go_on()
            for name, colours in expected.items():
                assert logged(name) == lines_with(*colours), (first, lethal)


CAN_FAIL = ("open", "write", "pwrite", "fsync", "rename", "unlink", "ftruncate", "fchmod", "splice", "stat", "pread")


def test_a_call_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or, before anything is read, ends multilog, so that supervise starts it again."""
    words, expected = SCRIPTS["three directories and patterns"]
    world = World(*words)
    codes = set()
    for failing in range(1000):
        world.fresh()
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
            os.dup2(world.reading, 0)
            left = failing

            def fails(name: str) -> Callable[..., object]:
                call = getattr(os, name)

                def count(*words: object, **more: object) -> object:
                    nonlocal left
                    left -= 1
                    if left == -1:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    return call(*words, **more)

                return count

            for name in CAN_FAIL:
                setattr(os, name, fails(name))
            code = multilog.main([b"multilog", *words])
            os._exit(code if left < 0 else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 1:
            break
        codes.add(code)
        if code == 111:
            assert "inbox" not in os.listdir("a") if Path("a").exists() else True
            world.go_on()
        for name, colours in expected.items():
            assert logged(name) == lines_with(*colours), failing
    assert codes == {0, 111}
    assert failing > 200


def test_current_is_gone_on_with_after_a_kill() -> None:
    world = World(b"t", b"./a", text=b"one\ntwo\nthr")
    world.kill("splice")
    world.write(b"ee\nfour\n")
    world.go_on()
    assert logged("a") == b"one\ntwo\nthree\nfour\n"
    assert not old("a")


def test_a_line_has_the_label_of_the_moment_when_its_begin_was_read() -> None:
    world = World(b"t", b"./a", text=b"one\ntw")
    world.kill("pwrite", 3)  # the second record of that text
    label = Path("a/current").read_bytes()[:25]
    world.write(b"o\nthree\n")
    world.go_on()
    labels = [line[:25] for line in Path("a/current").read_bytes().splitlines()]
    assert labels[:2] == [label] * 2
    assert labels[2] > label


def test_a_line_that_nobody_can_complete_is_ended() -> None:
    world = World(b"t", b"./a", b"./b", text=b"one\ntw")
    world.kill("splice")
    world.another_pipe()
    world.write(b"three\n")
    world.go_on()
    assert logged("a") == logged("b") == b"one\ntw\nthree\n"
    assert not old("a")


def test_what_was_left_is_logged_even_when_the_input_is_no_pipe_now() -> None:
    world = World(b"./a", text=b"one\ntw")
    world.kill("splice")
    Path("input").write_bytes(b"three\n")
    world.read_from("input")
    world.go_on()
    assert logged("a") == b"one\ntw\nthree\n"
    assert not Path("a/inbox").exists()


def test_without_a_pipe_or_a_directory_there_is_no_inbox(capfd: pytest.CaptureFixture[str]) -> None:
    world = World(b"./a")
    Path("input").write_bytes(b"one\n")
    world.read_from("input")
    world.kill("write")
    assert not Path("a/inbox").exists()
    world = World(b"e", text=b"one\n")
    world.go_on()
    assert capfd.readouterr().err == "one\n"


def test_a_file_system_that_cannot_splice_is_written_to_without_an_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: object, **more: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "splice", refused)
    world = World(b"./a", text=b"one\ntwo\n")
    world.kill("write")
    assert not Path("a/inbox").exists()
    world.write(b"three\n")
    world.go_on()
    assert logged("a") == b"one\ntwo\nthree\n"


def test_a_disk_that_is_full_for_the_inbox_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    splice, pauses = os.splice, []

    def full(*words: int, **more: int) -> int:
        if len(pauses) < 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return splice(*words, **more)

    monkeypatch.setattr(os, "splice", full)
    monkeypatch.setattr(patience.time, "sleep", pauses.append)
    World(b"./a", text=b"one\ntwo\n").go_on()
    assert logged("a") == b"one\ntwo\n"
    line = "multilog: warning: unable to write to ./a/inbox, pausing: out of disk space\n"
    assert capfd.readouterr().err == line * 2


def as_another_multilog_does() -> None:
    """What a start and a clean end of the original leave of a directory that was not ended cleanly."""
    os.rename("a/current", "a/@40000000ffffffffffffffff.u")
    Path("a/current").write_bytes(b"another\n")
    Path("a/current").chmod(0o744)


def test_after_another_multilog_nothing_is_touched_and_nothing_comes_twice() -> None:
    world = World(b"./a", text=b"one\ntwo\n")
    world.kill("pwrite", 2)  # all is written, and noted
    as_another_multilog_does()
    world.write(b"three\n")
    world.go_on()
    assert [path.read_bytes() for path in old("a")] == [b"one\ntwo\n"]
    assert Path("a/current").read_bytes() == b"another\nthree\n"


def test_what_was_left_before_another_multilog_is_put_aside() -> None:
    world = World(b"t", b"./a", b"./b", text=b"one\ntwo\n")
    world.kill("write")  # nothing is noted
    as_another_multilog_does()
    world.write(b"three\n")
    world.go_on()
    assert [STAMP.sub(b"", path.read_bytes()) for path in old("a")] == [b"one\ntwo\n", b"one\ntwo\n"]
    assert [path.suffix for path in old("a")] == [".u", ".u"]
    assert STAMP.sub(b"", Path("a/current").read_bytes()) == b"another\nthree\n"
    assert logged("b") == b"one\ntwo\nthree\n"


def test_a_current_with_another_end_than_was_left_is_kept() -> None:
    world = World(b"t", b"./a", text=b"one\ntwo\n")
    world.kill("write")
    with open("a/current", "r+b") as file:
        file.seek(30)
        file.write(b"T")
    world.write(b"three\n")
    world.go_on()
    kept, aside = (path.read_bytes() for path in old("a"))
    assert STAMP.sub(b"", kept) == b"one\nTwo\n" or kept[30:31] == b"T"
    assert aside == b"one\ntwo\n"
    assert STAMP.sub(b"", Path("a/current").read_bytes()) == b"three\n"


def test_another_script_goes_on_with_what_is_left() -> None:
    world = World(b"./a", b"./b", text=b"one\ntwo\nfou")
    world.kill("pwrite", 2)
    world.write(b"r\nfive\n")
    world.go_on(b"./a", b"-*", b"+f*", b"./c", b"./b")
    assert logged("a") == logged("b") == b"one\ntwo\nfour\nfive\n"
    assert logged("c") == b"four\nfive\n"


def test_an_inbox_in_another_than_the_first_directory_is_put_aside() -> None:
    world = World(b"./a", text=b"one\ntwo\nthr")
    world.kill("pwrite", 2)
    world.write(b"ee\n")
    world.go_on(b"./b", b"./a")
    assert [(path.suffix, path.read_bytes()) for path in old("a")] == [(".u", b"one\ntwo\n"), (".u", b"thr")]
    assert Path("a/current").read_bytes() == Path("b/current").read_bytes() == b"ee\n"
    assert not Path("a/inbox").exists()


def test_after_the_machine_went_down_current_is_put_away(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(b"t", b"./a", text=b"one\ntwo\nthr")
    world.kill("pwrite", 3)
    monkeypatch.setattr(left, "boot", lambda: b"another")
    world.another_pipe()
    world.write(b"four\n")
    world.go_on()
    assert logged("a") == b"one\ntwo\nthr\nfour\n"
    assert [path.suffix for path in old("a")] == [".u"]


@pytest.mark.parametrize("lost", ["record", "text", "log"])
def test_of_what_the_machine_has_lost_nothing_else_is_lost(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(b"./a", text=b"one\ntwo\n")
    world.kill("write")
    monkeypatch.setattr(left, "boot", lambda: b"another")
    match lost:
        case "record":
            with open("a/inbox", "r+b") as file:
                file.write(b"\0" * left.TEXT)
        case "text":
            os.truncate("a/inbox", left.TEXT)
        case "log":
            os.truncate("a/current", 0)
    world.another_pipe()
    world.write(b"three\n")
    world.go_on()
    assert b"three\n" in Path("a/current").read_bytes()
    assert sum(b"two\n" in path.read_bytes() for path in Path("a").iterdir()) == (2 if lost == "record" else 1)


def test_a_damaged_inbox_that_cannot_be_read_is_said_to_be_so() -> None:
    Path("a/inbox").mkdir(parents=True)
    assert run("multilog", "./a") == (111, b"", b"multilog: fatal: unable to read ./a/inbox: is a directory\n")


def test_the_inbox_stays_small() -> None:
    largest = 0
    piece = b"x" * 99 + b"\n"
    world = World(b"./a", text=piece * 600)
    write: Callable[..., int] = os.pwrite

    def watch(fd: int, data: bytes, at: int) -> int:
        nonlocal largest
        largest = max(largest, os.fstat(fd).st_size)
        return write(fd, data, at)

    pid = os.fork()
    if pid == 0:
        os.pwrite = watch
        world.multilog()
        os._exit(largest > left.TEXT + 5 * 2000)
    world.end()
    assert os.waitpid(pid, 0)[1] == 0
    assert logged("a") == piece * 600
