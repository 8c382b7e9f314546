"""A queue in a scratch home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from mta.queue import envelope, layout

Serve = Callable[..., "subprocess.Popen[bytes]"]  # what the fixture `serve` is


class Queue:
    """A home with an empty queue.

    Attributes:
        home: the home.
        path: its queue.
        env: the environment for commands.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.path = home, home / "queue"
        self.env: dict[str, str | None] = {"QMAILHOME": str(home), "QMAILQUEUE": None}
        for place in layout.places():
            path = home / os.fsdecode(place.path)
            if place.kind == b"folder":
                path.mkdir(parents=True)
            elif place.kind == b"fifo":
                os.mkfifo(path)
            else:
                path.write_bytes(bytes(place.size))

    def numbers(self, name: str = "todo") -> list[int]:
        """The messages with a file of *name*."""
        return sorted(int(path.name) for path in (self.path / name).rglob("*") if path.is_file())

    def message(self, number: int) -> bytes:
        """The message with its Received line."""
        return (self.path / os.fsdecode(layout.mess(number))).read_bytes()

    def envelope(self, number: int) -> tuple[int, int, bytes, list[bytes]]:
        """What is in todo."""
        return envelope.parse((self.path / os.fsdecode(layout.todo(number))).read_bytes())

    def is_empty(self) -> bool:
        """Whether nothing is left of any message."""
        return not any(self.numbers(name) for name in ("mess", "intd", "todo")) and not os.listdir(self.path / "pid")

    def submitted(self) -> dict[bytes, list[bytes]]:
        """The recipients by the text of the message, of all messages in todo."""
        return {self.message(n).partition(b"\n")[2]: self.envelope(n)[3] for n in self.numbers()}
