"""The installed multilog under kill -9: at each system call, and at random moments under load."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import BIN, start
from until import until

LABEL = 26  # bytes with the blank
COLOURS = (b"red", b"green", b"blue")


def line(number: int) -> bytes:
    return b"%06d %b %b\n" % (number, COLOURS[number % 3], b"." * (number * 7 % 150))


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def feed() -> Iterator[Callable[[int], int]]:
    """Starts a process that writes lines; the descriptor to read them from."""
    started: list[tuple[int, int]] = []

    def begin(lines: int) -> int:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                at = 0
                while at < lines:
                    some = min(lines - at, random.choice((1, 1, 10, 1000)))
                    text = b"".join(line(number) for number in range(at, at + some))
                    cut = random.randrange(len(text))  # writes that end within lines
                    for part in (text[:cut], text[cut:]):
                        while part:
                            part = part[os.write(writing, part) :]
                    at += some
            finally:
                os._exit(0)
        os.close(writing)
        started.append((pid, reading))
        return reading

    yield begin
    for pid, reading in started:
        os.close(reading)
        os.waitpid(pid, 0)


def logged(name: str) -> bytes:
    """All that is in a log directory, without the labels that all lines have."""
    folder = Path(name)
    paths = [*sorted(folder.glob("@*")), folder / "current"]
    text = b"".join(path.read_bytes() for path in paths)
    return b"".join(one[LABEL:] + b"\n" for one in text.split(b"\n")[:-1])


def written(name: str) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(name) if entry.name[0] in "@c")
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("signals", [[signal.SIGKILL], [signal.SIGTERM], [signal.SIGALRM, signal.SIGKILL]])
def test_many_signals_under_load(signals: list[signal.Signals], feed: Callable[[int], int]) -> None:
    lines = 60_000
    words = ["t", "n9999", "./a", "-*", "+* * red*", "s4096", "./b", "+* * green*", "s70000", "./c"]
    reading = feed(lines)
    for _ in range(25):
        target = written("a") + random.choice((0, 1, 50_000, 300_000))
        multilog = start("multilog", *words, stdin=reading)
        until(lambda multilog=multilog, target=target: multilog.poll() is not None or written("a") >= target)
        for number in signals:
            multilog.send_signal(number)
        assert multilog.wait(20) in (0, *(-number for number in signals))  # ALRM may come before it is handled
    assert start("multilog", *words, stdin=reading).wait(60) == 0
    assert logged("a") == b"".join(map(line, range(lines)))
    assert logged("b") == b"".join(line(number) for number in range(lines) if number % 3 == 0)
    assert logged("c") == b"".join(line(number) for number in range(lines) if number % 3 < 2)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("call", ["splice", "pread64", "write", "pwrite64", "fsync", "fchmod", "/^rename", "/^unlink"])
def test_a_kill_at_each_system_call(call: str) -> None:
    words = ["t", "s4096", "n99", "./a", "-*", "+* * red*", "./b"]
    lines = 70
    text = b"".join(map(line, range(lines))) + b"x" * 5000 + b"\n" + b"".join(map(line, range(lines)))
    tracer = ["strace", "-o", "trace", "-e", f"trace={call}", "-e"]
    for when in range(1, 200):
        for name in ("a", "b"):
            shutil.rmtree(name, ignore_errors=True)
        reading, writing = os.pipe()
        os.write(writing, text)
        os.close(writing)
        inject = f"inject={call}:signal=KILL:when={when}"
        ended = start(*tracer, inject, BIN / "multilog", *words, stdin=reading).wait(60)
        assert start("multilog", *words, stdin=reading).wait(60) == 0
        os.close(reading)
        assert logged("a") == text
        assert logged("b") == b"".join(line(number) for number in range(lines) if number % 3 == 0) * 2
        if ended == 0:
            assert when > 1
            return
    raise AssertionError("more calls than expected")
