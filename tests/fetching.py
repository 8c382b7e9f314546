"""A user with a Maildir, who is not root and fetches mail from it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from commands import Result, run

NOBODY = 65534


class Box:
    """The user's *home* with the Maildir in it; *user* is the uid that commands run as, None for ours."""

    def __init__(self, home: Path) -> None:
        self.home, self.maildir = home, home / "Maildir"
        self.user = None if os.geteuid() else NOBODY
        for folder in (home, self.maildir, *(self.maildir / name for name in ("new", "cur", "tmp"))):
            folder.mkdir(exist_ok=True)
            self.own(folder)

    def own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user, self.user)

    def put(self, name: str, content: bytes, age: int = 1000) -> Path:
        """Put a message into the Maildir that came *age* seconds ago."""
        file = self.maildir / name
        file.write_bytes(content)
        os.utime(file, (time.time() - age, time.time() - age))
        self.own(file)
        return file

    def content(self) -> dict[str, bytes]:
        """All messages by their names."""
        files = [file for folder in ("new", "cur") for file in (self.maildir / folder).iterdir()]
        return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}

    def pop3d(self, *commands: bytes) -> Result:
        """What qmail-pop3d answers to *commands*."""
        text = b"".join(command + b"\r\n" for command in commands)
        return run("qmail-pop3d", "Maildir", input=text, cwd=self.home, user=self.user)

    def replies(self, *commands: bytes) -> list[bytes]:
        """The lines of its answers, without that to the beginning."""
        code, out, err = self.pop3d(*commands)
        assert (code, err) == (0, b"")
        first, *others = out.split(b"\r\n")
        assert (first, others.pop()) == (b"+OK ", b"")
        return others
