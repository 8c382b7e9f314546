"""A directory of rotated logs: what a crash leaves and a start makes of it, sizes, processors, a full disk."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from crashes import crashes_of
from hypothesis import given
from hypothesis import strategies as st

from supervise.errors import Temporary
from supervise.fd import copy
from supervise.log import patience
from supervise.log.logdir import LogDir
from supervise.log.logger import Logger
from supervise.log.pieces import pieces
from supervise.log.script import Script

TEXT = b"".join(b"line %04d %b\n" % (number, b"." * (number % 90)) for number in range(110))


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def opened(size: int = 4096, keep: int = 99, processor: bytes | None = None) -> LogDir:
    log = LogDir(b"./log", size, keep, processor)
    log.start()
    return log


def ended(log: LogDir) -> None:
    log.flush()
    log.end()
    log.close()


def lay(tmp_path: Path, **files: tuple[str, int]) -> None:
    """Make the directory log as some crash has left it: name=(content, mode)."""
    (tmp_path / "log").mkdir()
    for name, (content, mode) in files.items():
        path = tmp_path / "log" / name
        path.write_text(content)
        path.chmod(mode)


def contents(tmp_path: Path) -> dict[str, tuple[str, int]]:
    """What is in the directory: old logs by the order of their labels, the others by name."""
    found = {}
    for at, path in enumerate(sorted((tmp_path / "log").iterdir())):
        name = f"{at}{path.suffix}" if path.name.startswith("@") else path.name
        found[name] = (path.read_text(), path.stat().st_mode & 0o777)
    del found["lock"]
    return found


@pytest.mark.parametrize(
    ("left", "made"),
    [
        ({}, {"current": ("new\n", 0o744), "state": ("", 0o644)}),
        ({"current": ("old\n", 0o744)}, {"current": ("old\nnew\n", 0o744)}),
        (
            {"current": ("old\n", 0o744), "state": ("s", 0o644), "newstate": ("n", 0o644)},
            {"current": ("old\nnew\n", 0o744), "state": ("s", 0o644), "newstate": ("n", 0o644)},
        ),
        (
            {"current": ("to", 0o644), "state": ("s", 0o644), "newstate": ("n", 0o644)},
            {"0.u": ("to", 0o644), "current": ("new\n", 0o744), "state": ("", 0o644)},
        ),
        (
            {"current": ("c\n", 0o644), "previous": ("p\n", 0o744), "processed": ("half", 0o644)},
            {"0.u": ("p\n", 0o744), "1.u": ("c\n", 0o644), "current": ("new\n", 0o744), "state": ("", 0o644)},
        ),
        (
            {"current": ("c\n", 0o600), "previous": ("p\n", 0o744), "processed": ("all\n", 0o744)},
            {"0.s": ("all\n", 0o744), "1.u": ("c\n", 0o600), "current": ("new\n", 0o744), "state": ("", 0o644)},
        ),
        (
            {"previous": ("p\n", 0o744), "state": ("s", 0o644)},
            {"0.u": ("p\n", 0o744), "current": ("new\n", 0o744), "state": ("", 0o644)},
        ),
    ],
)
def test_what_a_start_makes_of_what_it_finds(
    left: dict[str, tuple[str, int]], made: dict[str, tuple[str, int]], tmp_path: Path
) -> None:
    lay(tmp_path, **left)
    log = opened()
    log.put(b"new\n")
    ended(log)
    assert contents(tmp_path) == made


def logged(folder: Path) -> bytes:
    """All that is in the directory, oldest first, wherever rotation stands."""
    names = sorted(name for name in os.listdir(folder) if name.startswith("@"))
    processed = folder / "processed"
    if processed.exists() and processed.stat().st_mode & 0o100:
        names.append("processed")
    elif (folder / "previous").exists():
        names.append("previous")
    return b"".join((folder / name).read_bytes() for name in [*names, "current"] if (folder / name).exists())


def copying(self: LogDir) -> int:
    """A processor in this process, so that it can be killed at each of its calls, too."""
    source, target, state = self.source(b"previous"), self.target(b"processed"), self.target(b"newstate")
    os.write(state, b"state")
    copy(source, target)
    for fd in source, target, state:
        os.close(fd)
    return 0


def taken(logger: Logger, text: bytes) -> None:
    for _ in logger.take(text, b""):
        for log in logger.logs:
            log.put_full_away()


@pytest.mark.parametrize("processor", [None, b"copying"])
def test_a_crash_at_any_call_loses_nothing_that_was_written(
    processor: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "log"
    monkeypatch.setattr(LogDir, "run_processor", copying)
    words = [b"s4096", b"n99", *([b"!" + processor] if processor else []), b"./log"]

    def fresh() -> None:
        os.chdir(tmp_path)
        shutil.rmtree(folder, ignore_errors=True)

    def action() -> None:
        logger = Logger(Script(words))
        for at in range(0, len(TEXT), 1000):
            taken(logger, TEXT[at : at + 1000])
        logger.end()
        logger.close()

    before = b""
    for _ in crashes_of(action, fresh):  # the first few are killed before there is a log
        written = logged(folder) if folder.exists() else b""
        assert TEXT.startswith(written)
        assert written.startswith(before), "a later crash has lost more"
        before = written
        os.chdir(tmp_path)
        again = Logger(Script(words))
        taken(again, b"after\n")
        again.end()
        again.close()
        assert logged(folder) == written + b"after\n"
        assert all(path.read_bytes().endswith(b"\n") for path in folder.glob("@*.s"))
    assert before == TEXT


@given(
    st.lists(st.integers(0, 2500), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_pieces_are_all_of_the_text_in_order(lengths: list[int], inside: bool, whole: bool) -> None:
    text = b"\n".join(b"x" * length for length in lengths) + b"\n" * whole
    cut = list(pieces(text, inside))
    assert b"".join(cut) == text
    assert all(0 < len(piece) <= 1000 for piece in cut)


@given(st.lists(st.integers(0, 1900), min_size=1, max_size=60), st.integers(4096, 9000))
def test_old_logs_are_no_larger_than_asked_for_and_end_with_a_line(lengths: list[int], size: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        log = LogDir(scratch.encode() + b"/log", size, 999, None)
        log.start()
        text = b"".join(b"x" * length + b"\n" for length in lengths)
        for at in range(0, len(text), 1024):
            log.put(text[at : at + 1024])
            log.flush()
        os.chdir("/")
        ended(log)
        folder = Path(scratch) / "log"
        old = [path.read_bytes() for path in sorted(folder.glob("@*.s"))]
        assert b"".join(old) + (folder / "current").read_bytes() == text
        assert all(size - 2000 <= len(content) <= size and content.endswith(b"\n") for content in old)


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    log = opened(keep=3)
    for number in range(6):
        log.put(b"%d\n" % number)
        log.flush()
        log.rotate()
    ended(log)
    assert [content for content, _ in contents(tmp_path).values()] == ["4\n", "5\n", "", ""]


def test_a_log_is_synced_before_it_is_called_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("write", "fsync", "fchmod", "rename"):
        call: Callable[..., object] = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, name=name, call=call, **more: (calls.append(name), call(*args, **more))[1]
        )
    log = opened()
    calls.clear()
    log.put(b"x\n")
    log.flush()
    log.rotate()
    assert calls == ["write", "fsync", "fchmod", "rename", "fchmod"]
    ended(log)


def test_a_directory_that_is_moved_away_is_followed(tmp_path: Path) -> None:
    log = opened()
    os.rename(tmp_path / "log", tmp_path / "moved")
    log.put(b"x\n")
    log.flush()
    log.rotate()
    ended(log)
    assert sorted(name[:8] for name in os.listdir(tmp_path / "moved") if name != "lock") == [
        "@4000000",
        "current",
        "state",
    ]
    assert os.listdir(tmp_path) == ["moved"]


def test_two_cannot_write_to_one_directory(tmp_path: Path) -> None:
    log = opened()
    os.chdir(tmp_path)
    with pytest.raises(Temporary) as caught:
        opened()
    assert caught.value.line == b"unable to lock directory ./log: temporary failure"
    ended(log)


def test_a_full_disk_is_waited_for_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(patience.time, "sleep", pause)
    log = opened(size=99999)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        log.put(TEXT)
        log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    ended(log)
    assert (tmp_path / "log/current").read_bytes() == TEXT
    line = "multilog: warning: unable to write to ./log/current, pausing: file too big\n"
    assert capfd.readouterr().err == line * 2
    assert pauses == [5, 5]


def test_a_processor_that_fails_or_crashes_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    command = b"echo x >> tries; echo junk; case $(wc -l < tries) in 1) exit 1;; 2) kill -9 $$;; esac; cat; echo y >&5"
    log = opened(processor=command)
    log.put(b"one\n")
    log.flush()
    log.rotate()
    ended(log)
    found = contents(tmp_path)
    assert found["0.s"] == ("junk\none\n", 0o744)
    assert found["state"] == ("y\n", 0o644)
    assert set(found) == {"0.s", "current", "state", "tries"}
    said = [f"multilog: warning: processor {what} in ./log, pausing" for what in ("failed", "crashed")]
    assert capfd.readouterr().err.splitlines() == said


def test_a_processor_finds_a_state_even_when_there_was_none(tmp_path: Path) -> None:
    lay(tmp_path, current=("old\n", 0o744))
    log = opened(processor=b"cat; wc -c <&4 >&5")
    log.rotate()
    ended(log)
    assert contents(tmp_path) == {"0.s": ("old\n", 0o744), "current": ("", 0o744), "state": ("0\n", 0o644)}


def test_a_processor_has_the_four_descriptors_and_2_and_no_other(tmp_path: Path) -> None:
    log = opened(processor=b"ls /proc/$$/fd; pwd; echo $0")
    log.put(b"x\n")
    log.flush()
    log.rotate()
    ended(log)
    words = contents(tmp_path)["0.s"][0].split()
    assert words[-2:] == [str(tmp_path / "log"), "sh"]
    assert {"0", "1", "2", "4", "5"} == set(words[:-2])
