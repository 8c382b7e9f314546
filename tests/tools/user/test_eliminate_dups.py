"""eliminate-dups: one message is taken once, and never lost."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from commands import Result, run
from crashes import crashes_of

from tools.user import eliminate_dups

HEADER = b"Received: by a\nFrom: joe@x\nTo: sue@y,\n ann@z\nSubject: hi\nDate: today\nMessage-ID: <1@x>\n"
MESSAGE = HEADER + b"\nhello\n"
AGAIN = MESSAGE.replace(b"by a", b"by b").replace(b"sue@y,\n ann@z", b"sue@y,  ann@z")  # the same, by another way


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RECIPIENT", "me@here.example")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def take(message: bytes, *words: str, recipient: str = "me@here.example") -> Result:
    return run("eliminate-dups", *words, input=message, env={"RECIPIENT": recipient})


@pytest.mark.usefixtures("home")
def test_a_message_that_comes_again_ends_the_qmail_file() -> None:
    assert take(MESSAGE) == (0, b"", b"")
    assert take(AGAIN) == (99, b"", b"")
    assert take(MESSAGE, recipient="me-too@here.example") == (99, b"", b"")
    assert take(MESSAGE.replace(b"<1@x>", b"<2@x>")).code == 0


@pytest.mark.usefixtures("home")
def test_a_message_that_is_tried_again_is_no_duplicate() -> None:
    for _ in range(3):
        assert take(MESSAGE).code == 0
    assert take(AGAIN).code == 99
    assert take(MESSAGE).code == 0


@pytest.mark.usefixtures("home")
def test_the_body_counts_only_when_it_is_asked_for() -> None:
    assert take(MESSAGE).code == 0
    assert take(AGAIN + b"more").code == 99
    assert take(MESSAGE, "--strict").code == 0
    assert take(AGAIN + b"more", "--strict").code == 0
    assert take(AGAIN, "--strict").code == 99


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("number", [b"", b"Message-ID: \n"])
def test_the_body_counts_when_no_number_tells_messages_apart(number: bytes) -> None:
    message = b"From: joe@x\nSubject: report\n" + number
    assert take(message + b"\nmonday\n").code == 0
    assert take(b"Received: x\n" + message + b"\ntuesday\n").code == 0
    assert take(b"Received: y\n" + message + b"\nmonday\n").code == 99


@pytest.mark.usefixtures("home")
def test_messages_that_say_nothing_of_themselves_are_all_taken() -> None:
    for message in b"", b"\nbody\n", b"X: y\n\n", b"no header\n":
        for received in b"", b"Received: x\n":
            assert take(received + message).code == 0


def test_what_is_old_is_forgotten_unless_it_shall_not(home: Path) -> None:
    assert take(MESSAGE).code == 0
    line = (home / ".maildups").read_bytes()
    old = b"%d" % (time.time() - 8 * 86400)
    (home / ".maildups").write_bytes(old + line[line.index(b" ") :])
    assert take(AGAIN, "--no-purge").code == 99
    assert run("eliminate-dups", "--no-check") == (0, b"", b"")
    assert (home / ".maildups").read_bytes() == b""
    assert take(AGAIN).code == 0


def test_what_has_come_is_printed_and_kept_from_others(home: Path) -> None:
    take(MESSAGE, "seen")
    printed = run("eliminate-dups", "--dump", "seen")
    assert printed.code == 0 and len(printed.out.split()) == 4
    assert (home / "seen").stat().st_mode & 0o777 == 0o600
    assert not (home / ".maildups").exists()


def test_trouble_is_temporary_and_named(home: Path) -> None:
    assert take(MESSAGE, "none/file").code == 111
    (home / "folder").mkdir()
    assert take(MESSAGE, "folder") == (111, b"", b"eliminate-dups: fatal: unable to read folder: is a directory\n")
    assert run("eliminate-dups", "a", "b").code == 111
    assert run("eliminate-dups", "-x").code == 111
    assert run("eliminate-dups", env={"HOME": None}).err == b"eliminate-dups: fatal: HOME not set\n"


@pytest.mark.parametrize(
    "old", [b"1 a b\nnonsense\n", b"\0\x06\x15\x61" + b"\0" * 5000, b"d41d8cd98f00b204 1095379200\n"]
)
def test_a_file_of_another_form_stays_as_it_is_and_keeps_no_message(home: Path, old: bytes) -> None:
    (home / ".maildups").write_bytes(old)
    number = 2 if old.startswith(b"1 ") else 1
    file = f"{home}/.maildups"
    words = f"eliminate-dups: warning: {file}: line {number} has no time, word and key; starting anew in {file}.known\n"
    assert take(MESSAGE) == (0, b"", words.encode())
    assert take(MESSAGE) == (0, b"", b"")
    assert take(AGAIN) == (99, b"", b"")
    assert (home / ".maildups").read_bytes() == old
    (home / ".maildups.known").write_bytes(b"damaged")
    assert take(MESSAGE) == (0, b"", b"")
    assert take(AGAIN) == (99, b"", b"")


def test_a_crash_at_any_call_loses_no_message(home: Path) -> None:
    (home / "message").write_bytes(MESSAGE)

    def fresh() -> None:
        for file in home.glob(".maildups*"):
            file.unlink()

    def check() -> None:
        message = os.open("message", os.O_RDONLY)
        os.dup2(message, 0)
        assert eliminate_dups.main([b"eliminate-dups"]) == 0

    for _ in crashes_of(check, fresh):
        assert take(MESSAGE).code == 0  # it is tried again
        assert take(AGAIN).code == 99
