"""multilog on a file system that is really full."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import start
from until import until

SIZE = 256 * 1024  # bytes of the file system
LEFT = 48 * 1024  # what is left of it when it is full but for the log
TEXT = b"".join(b"%d and some words to fill the line\n" % number for number in range(1600))

pytestmark = pytest.mark.root


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of its own as working directory, with little room: what is in `ballast` can be freed."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], check=True)
    try:
        (place / "ballast").write_bytes(bytes(SIZE - LEFT))
        monkeypatch.chdir(place)
        yield place
    finally:
        monkeypatch.undo()
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def pipe() -> Iterator[int]:
    """A pipe that holds the text and has come to its end."""
    reading, writing = os.pipe()
    os.write(writing, TEXT)
    os.close(writing)
    yield reading
    os.close(reading)


def logged() -> bytes:
    return b"".join(path.read_bytes() for path in [*sorted(Path("log").glob("@*")), Path("log/current")])


def complaining(reading: int, *words: str) -> subprocess.Popen[bytes]:
    """A multilog that has said that it waits."""
    with open("../said", "wb") as said:
        multilog = start("multilog", *words, "./log", stdin=reading, stderr=said)
    until(lambda: b", pausing: out of disk space\n" in Path("../said").read_bytes())
    assert multilog.poll() is None
    return multilog


@pytest.mark.parametrize("words", [["s16777215"], ["s8192", "n99"], ["t", "s16777215"]])
def test_it_waits_for_room_and_loses_nothing(words: list[str], small: Path, pipe: int) -> None:
    multilog = complaining(pipe, *words)
    (small / "ballast").unlink()
    assert multilog.wait(30) == 0
    text = logged()
    if "t" in words:
        text = b"".join(line.split(b" ", 1)[1] for line in text.splitlines(keepends=True))
    assert text == TEXT


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_it_ends_while_it_waits_the_next_one_goes_on(number: int, small: Path, pipe: int) -> None:
    multilog = complaining(pipe, "s16777215")
    multilog.send_signal(number)
    if number == signal.SIGTERM:  # it does not end before what it has read is in the log
        (small / "ballast").unlink()
        assert multilog.wait(30) == 0
    else:
        multilog.wait()
        (small / "ballast").unlink()
    assert start("multilog", "s16777215", "./log", stdin=pipe).wait(30) == 0
    assert logged() == TEXT
