"""A terminal with a program in it: what stands on the screen, and keys to press."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path

import pyte
from commands import start
from until import until


class Terminal:
    """A pseudo-terminal of *columns* x *lines*, and the program *argv* on it."""

    def __init__(
        self, *argv: str | Path, columns: int = 80, lines: int = 24, env: Mapping[str, str | None] | None = None
    ) -> None:
        self.fd, self.slave = pty.openpty()
        self.held = [self.fd, self.slave]
        self.written = b""
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.resize(columns, lines)
        self.mode = termios.tcgetattr(self.slave)
        self.process = start(
            *argv,
            env={"TERM": "xterm-256color", "NO_COLOR": None, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=self.slave,
            stdout=self.slave,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def hear(self) -> None:
        """Take in what the program has written."""
        while select.select([self.fd], [], [], 0.02)[0]:
            data = os.read(self.fd, 65536)
            self.written += data
            self.stream.feed(data)

    @property
    def display(self) -> list[str]:
        """The lines on the screen now, without blanks at their ends."""
        self.hear()
        return [line.rstrip() for line in self.screen.display]

    def shows(self, text: str) -> list[str]:
        """Wait until *text* is on the screen; its lines then."""
        try:
            return until(lambda: (lines := self.display) and any(text in line for line in lines) and lines, what=text)
        except AssertionError as failed:
            failed.add_note("\n".join(self.display))
            raise

    def colour(self, text: str, word: str) -> str:
        """The colour of *word* in the line that begins with *text*."""
        number = next(number for number, line in enumerate(self.display) if line.startswith(text))
        return str(self.screen.buffer[number][self.display[number].index(word, len(text))].fg)

    def ends(self) -> tuple[int, bytes]:
        """Wait until the program has ended: its exit code, and what it has said on descriptor 2."""
        until(lambda: self.hear() or self.process.poll() is not None)
        self.hear()
        assert self.process.stderr
        return self.process.returncode, self.process.stderr.read()

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was before the program."""
        self.hear()
        modes = {}
        for part in self.written.split(b"\x1b[?")[1:]:
            number, letter = part[: part.index(part.strip(b"0123456789")[:1])], part.strip(b"0123456789")[:1]
            modes[number] = letter
        usual = {b"1049": b"l", b"25": b"h", b"7": b"h"}
        return modes == usual and termios.tcgetattr(self.slave) == self.mode

    def close(self) -> None:
        """End the program, and hang up."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.process.stderr:
            self.process.stderr.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Take the terminal away."""
        while self.held:
            os.close(self.held.pop())
