"""The last line of a log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervise.stamp import label
from supervise.top.lastline import END, LastLine, last_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The folder `log` of a service, with an empty log directory in it."""
    (tmp_path / "log" / "main").mkdir(parents=True)
    (tmp_path / "log" / "supervise").mkdir()
    return tmp_path / "log"


STAMP = label(0)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", b""),
        (b"\n\n", b""),
        (b"one\ntwo\n", b"two"),
        (b"one\ntwo\n\n", b"two"),
        (b"one\ntw", b"tw"),
        (STAMP + b" one\n" + STAMP + b" two\n", b"two"),
        (STAMP + b" \n", b""),
        (STAMP + b"x\n", None),
        (b"@4000 short\n", b"@4000 short"),
        (b"@%s two\n" % (b"x" * 24), None),
    ],
)
def test_a_stamp_is_taken_off(text: bytes, line: bytes | None) -> None:
    assert last_of(text) == (text.rstrip(b"\n") if line is None else line)


def test_the_line_is_followed_through_rotation(log: Path) -> None:
    last, current = LastLine(os.fsencode(log)), log / "main" / "current"
    assert last.read() == b""
    current.write_bytes(b"one\n")
    assert last.read() == b"one"
    with current.open("ab") as file:
        file.write(b"two\n")
    assert last.read() == b"two"
    current.rename(log / "main" / "@old.s")
    assert last.read() == b"two"
    current.touch()
    assert last.read() == b"two"
    current.write_bytes(b"three\n")
    assert last.read() == b"three"


def test_only_the_end_is_read(log: Path) -> None:
    last, current = LastLine(os.fsencode(log)), log / "main" / "current"
    with current.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"\nend\n")
    assert last.read() == b"end"
    current.write_bytes(b"x" * (3 * END))
    assert last.read() == b"x" * END


def test_a_log_that_is_elsewhere_is_found(log: Path) -> None:
    last = LastLine(os.fsencode(log))
    (log / "other").mkdir()
    (log / "other" / "current").write_bytes(b"there\n")
    assert last.read() == b"there"
    (log / "other").rename(log / "moved")
    assert last.read() == b"there"
    (log / "moved" / "current").write_bytes(b"there again\n")
    assert last.read() == b"there again"


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert LastLine(os.fsencode(tmp_path / "missing")).read() == b""
    (tmp_path / "main" / "current").mkdir(parents=True)
    assert LastLine(os.fsencode(tmp_path)).read() == b""


def test_a_file_that_has_not_changed_is_not_read_again(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = LastLine(os.fsencode(log))
    (log / "main" / "current").write_bytes(b"one\n")
    assert last.read() == b"one"
    monkeypatch.setattr("supervise.top.lastline.end_of", lambda file: pytest.fail("read again"))
    assert last.read() == b"one"
