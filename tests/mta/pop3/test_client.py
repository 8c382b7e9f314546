"""Clients that say nothing, nothing that makes sense, or too much."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest
from fetching import Box
from hurrying import hurried

from mta.pop3.client import Client
from supervise.fd import Closed


def commands(text: bytes) -> list[tuple[bytes, bytes]]:
    """The commands in *text*, which is all that a client says."""
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    client = Client()
    client.reader.fd = reading
    found = []
    with pytest.raises(Closed):
        for command in client.commands():
            found.append(command)
    os.close(reading)
    return found


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"RETR 1\r\n", (b"retr", b"1")),
        (b"Retr   1 2\n", (b"retr", b"1 2")),
        (b"RETR 1 \r\r\n", (b"retr", b"1 \r")),
        (b"RETR\t1\r\n", (b"retr\t1", b"")),
        (b" RETR 1\r\n", (b"", b"RETR 1")),
        (b"RETR 1\0 2\r\n", (b"retr", b"1")),
        (b"\r\n", (b"", b"")),
        (b"USER j\xc3\xb6e\r\n", (b"user", b"j\xc3\xb6e")),
    ],
)
def test_a_line_is_a_verb_and_an_argument(line: bytes, command: tuple[bytes, bytes]) -> None:
    assert commands(line) == [command]


def test_what_has_no_line_end_is_no_command() -> None:
    assert commands(b"NOOP\r\nQUIT") == [(b"noop", b"")]
    assert commands(b"") == []


@pytest.mark.parametrize(
    ("module", "argv", "code"),
    [("mta.pop3.pop3d", ["pop3d", "Maildir"], 0), ("mta.pop3.popup", ["popup", "pop.example", "false"], 1)],
)
def test_a_client_that_says_nothing_is_left(box: Box, module: str, argv: list[str], code: int) -> None:
    user = {} if box.user is None else {"user": box.user, "group": box.user, "extra_groups": []}
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = hurried(
                module, "mta.pop3.client.PATIENCE", 1, argv, stdin=theirs, stdout=theirs, cwd=box.home, **user
            )
        ours.sendall(b"NOOP\r\nNO")
        heard = b""
        while data := ours.recv(1000):
            heard += data
        assert heard.endswith(b"+OK \r\n")
    assert process.wait() == code


def test_a_client_that_hears_nothing_is_left(box: Box) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            argv = ["popup", "pop.example", "false"]
            more = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.DEVNULL}
            process = hurried("mta.pop3.popup", "mta.pop3.client.PATIENCE", 1, argv, **more)
        ours.settimeout(20)
        with pytest.raises(OSError):
            while True:
                ours.sendall(b"NOOP\r\n" * 10_000)
        assert process.wait() == 1
