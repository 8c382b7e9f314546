"""Talk with a spawner as qmail-send does."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from commands import start


class Spawning:
    """A running qmail-lspawn or qmail-rspawn; use it in a with statement."""

    def __init__(self, *argv: str | Path, env: Mapping[str, str | None], user: int | None = None) -> None:
        become = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        self.process = start(*argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **become)
        self.heard = b""
        self.width = 1  # bytes of a delivery's number

    def __enter__(self) -> Spawning:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        if kind:
            self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()

    def say(self, data: bytes) -> None:
        assert self.process.stdin
        os.write(self.process.stdin.fileno(), data)

    def ask(self, number: int, file: bytes, sender: bytes, recipient: bytes) -> None:
        """Ask for a delivery."""
        self.say(number.to_bytes(self.width, "little") + b"%s\0%s\0%s\0" % (file, sender, recipient))

    def read(self, seconds: float = 20) -> bytes:
        """Some bytes more; empty at the end or when there are none within *seconds*."""
        assert self.process.stdout
        fd = self.process.stdout.fileno()
        return os.read(fd, 65536) if select.select([fd], [], [], seconds)[0] else b""

    def limit(self) -> int:
        """How many deliveries may run at a time, which it says first of all."""
        self.heard = self.heard or self.read()
        if self.heard.startswith(b"\0"):
            while len(self.heard) < 3:
                self.heard += self.read()
            self.width = 2
            self.heard = self.heard[1:]
        first, self.heard = int.from_bytes(self.heard[: self.width], "little"), self.heard[self.width :]
        return first

    def report(self, seconds: float = 20) -> tuple[int, bytes]:
        """The next report: its number, its letter and text."""
        deadline = time.monotonic() + seconds
        while b"\0" not in self.heard[self.width :]:
            more = self.read(max(0, deadline - time.monotonic()))
            assert more, f"no report, only {self.heard!r}"
            self.heard += more
        number = int.from_bytes(self.heard[: self.width], "little")
        text, self.heard = self.heard[self.width :].split(b"\0", 1)
        return number, text

    def deliver(self, recipient: bytes, sender: bytes = b"sue@x.y", file: bytes = b"0/1", number: int = 7) -> bytes:
        """Ask for one delivery and wait for its report."""
        self.ask(number, file, sender, recipient)
        answered, text = self.report()
        assert answered == number
        return text
