"""What is typed for a password is any bytes, seen by nobody, and the terminal is left as it was."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from until import until

from mta.pop3 import passwords

FIRST, AGAIN = "Enter the user's new password:", "Please type it again for verification:"
LFLAG = 3


class Asked:
    """loginpasswd on a terminal, for ann in the file *logins*, behind *words*."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.logins = folder / "logins"
        self.logins.write_text("ann::1:1:/\n")
        self.terminal = Terminal(*words or ("loginpasswd", str(self.logins), "ann"))

    @property
    def silent(self) -> bool:
        return not termios.tcgetattr(self.terminal.slave)[LFLAG] & termios.ECHO

    @property
    def as_before(self) -> bool:
        return termios.tcgetattr(self.terminal.slave) == self.terminal.mode

    def answers(self, first: bytes, again: bytes) -> int:
        """Type both; the exit code."""
        for prompt, text in (FIRST, first), (AGAIN, again):
            self.terminal.shows(prompt)
            self.terminal.press(text + b"\n")
        return self.terminal.ends()[0]

    def knows(self, password: bytes) -> bool:
        return passwords.matches(password, self.logins.read_bytes().split(b":")[1])


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path)
    yield asked
    asked.terminal.close()


def test_a_password_is_any_bytes(asked: Asked) -> None:
    password = b" K\xe4se \xff\xc3 "
    assert asked.answers(password, password) == 0
    assert asked.knows(password)
    assert b"\xe4" not in asked.terminal.written and b"K" not in asked.terminal.written
    assert asked.as_before


def test_what_differs_is_not_printed(asked: Asked) -> None:
    asked.terminal.shows(FIRST)
    assert asked.silent
    asked.terminal.press(b"s\xe4cret\n")
    asked.terminal.shows(AGAIN)
    asked.terminal.press(b"other\n")
    code, err = asked.terminal.ends()
    assert (code, err) == (100, b"loginpasswd: error: passwords don't match\n")
    assert b"cret" not in asked.terminal.written
    assert asked.as_before


@pytest.mark.parametrize("typed", [b"\x03", b"\x1c"], ids=["interrupt", "quit"])
@pytest.mark.parametrize("prompt", [FIRST, AGAIN])
def test_a_key_that_ends_it_leaves_the_terminal_as_it_was(asked: Asked, prompt: str, typed: bytes) -> None:
    asked.terminal.shows(FIRST)
    if prompt == AGAIN:
        asked.terminal.press(b"first\n")
        asked.terminal.shows(AGAIN)
    assert asked.silent
    asked.terminal.press(b"part of it" + typed)
    expected = signal.SIGINT if typed == b"\x03" else signal.SIGQUIT
    assert asked.terminal.ends() == (-expected, b"")
    assert asked.as_before
    assert asked.logins.read_text() == "ann::1:1:/\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_so_does_a_signal_that_ends_it(asked: Asked, number: signal.Signals) -> None:
    asked.terminal.shows(FIRST)
    assert asked.silent
    asked.terminal.process.send_signal(number)
    assert asked.terminal.ends() == (-number, b"")
    assert asked.as_before


def test_who_stops_it_has_the_terminal_as_it_was_and_later_is_asked_again(tmp_path: Path) -> None:
    # A shell with job control and no user does nothing for the terminal, so what is restored the command has restored.
    script = f"loginpasswd {tmp_path}/logins ann; echo stopped; read line; fg"
    asked = Asked(tmp_path, "sh", "-mc", script)
    try:
        asked.terminal.shows(FIRST)
        assert asked.silent
        asked.terminal.press(b"part of it\x1a")
        asked.terminal.shows("stopped")
        assert asked.as_before
        asked.terminal.written = b""
        asked.terminal.press(b"\n")
        until(lambda: asked.silent and (asked.terminal.hear() or FIRST.encode() in asked.terminal.written))
        asked.terminal.press(b"all of it\n")
        asked.terminal.shows(AGAIN)
        asked.terminal.press(b"all of it\n")
        assert asked.terminal.ends()[0] == 0
        assert asked.knows(b"all of it")
        assert asked.as_before
    finally:
        asked.terminal.close()


def test_a_terminal_that_hangs_up_leaves_the_old_password(asked: Asked) -> None:
    asked.terminal.shows(FIRST)
    asked.terminal.hang_up()
    until(lambda: asked.terminal.process.poll() is not None)
    assert asked.terminal.process.returncode in (-signal.SIGHUP, 111)
    assert asked.logins.read_text() == "ann::1:1:/\n"


def test_end_of_input_is_no_password(asked: Asked) -> None:
    asked.terminal.shows(FIRST)
    asked.terminal.press(b"\x04")
    assert asked.terminal.ends() == (100, b"loginpasswd: error: password is empty.\n")
    assert asked.as_before
    assert os.listdir(asked.logins.parent) == ["logins"]


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "sh", "-c", f"trap '' INT; exec loginpasswd {tmp_path}/logins ann")
    try:
        asked.terminal.shows(FIRST)
        asked.terminal.process.send_signal(signal.SIGINT)
        assert asked.answers(b"secret", b"secret") == 0
        assert asked.knows(b"secret")
    finally:
        asked.terminal.close()


def test_who_has_a_terminal_only_on_descriptor_0_is_asked_there(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "setsid", "--wait", "loginpasswd", f"{tmp_path}/logins", "ann")
    try:
        assert asked.terminal.process.stderr
        said = b""
        for prompt in FIRST, AGAIN:
            while prompt.encode() not in said:
                said += os.read(asked.terminal.process.stderr.fileno(), 4096)
            assert asked.silent
            asked.terminal.press(b"s\xe4cret\n")
        assert asked.terminal.ends()[0] == 0
        assert asked.knows(b"s\xe4cret")
        assert b"cret" not in asked.terminal.written
        assert asked.as_before
    finally:
        asked.terminal.close()
