from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commands import run, start

CLEAR = b"\033[;H\033[;J"


def screen(maildir: Path) -> bytes:
    """The first screen that maildirwatch shows."""
    watch = start("maildirwatch", env={"MAILDIR": str(maildir)}, stdout=subprocess.PIPE)
    assert watch.stdout
    try:
        return os.read(watch.stdout.fileno(), 1 << 20)
    finally:
        watch.terminate()
        watch.stdout.close()
        watch.wait()


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(maildir: Path, name: str, content: bytes, when: int) -> None:
    (maildir / name).write_bytes(content)
    os.utime(maildir / name, (when, when))


def test_it_shows_envelope_author_and_beginning_of_what_is_new(maildir: Path) -> None:
    head = b"Return-Path: <joe@irs.gov>\nDelivered-To: bill@x.y\nDelivered-To:\nFrom: Joe \x1b[2J\n"
    put(maildir, "new/b", head + b"Subject: hi\n there\n\nhello\n" + b"x" * 500, 2)
    put(maildir, "new/a", b"", 1)
    put(maildir, "cur/c", head, 0)
    text = b"hi/ there//hello/" + b"x" * 141
    assert screen(maildir) == (
        CLEAR
        + b"FROM ? TO <?>\n\n\n"
        + b"FROM <joe@irs.gov> TO <bill@x.y>\n\033[1mFrom: Joe /[2J\033[0m\n%s\n\n" % text
    )


def test_nothing_new_is_an_empty_screen(maildir: Path) -> None:
    assert screen(maildir) == CLEAR


def test_what_it_cannot_read_ends_it(maildir: Path) -> None:
    assert run("maildirwatch", env={"MAILDIR": None}) == (111, b"", b"maildirwatch: fatal: MAILDIR not set\n")
    (maildir / "new/folder").mkdir()
    os.utime(maildir / "new/folder", (1, 1))
    done = run("maildirwatch", env={"MAILDIR": str(maildir)})
    assert done == (111, b"", b"maildirwatch: fatal: trouble reading new message\n")
