"""A home, and a folder where a message is forwarded: by fastforward, or by dot-forward."""

from __future__ import annotations

import subprocess
from pathlib import Path

from commands import Result, environment, run
from injecting import Home

MESSAGE = b"Subject: hi\n\nhello\n"
LINES = {
    "UFLINE": "From s@far.example Thu Jan  1 00:00:00 1970\n",
    "RPLINE": "Return-Path: <s@far.example>\n",
    "DTLINE": "Delivered-To: list@here.example\n",
}


class Forwarding(Home):
    """A home whose queue keeps what it gets; its folder is where commands run.

    Attributes:
        delivery: variables that a delivery gives to its programs.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "control/me").write_text("here.example\n")
        self.delivery: dict[str, str | None] = {
            **LINES,
            "SENDER": "s@far.example",
            "NEWSENDER": "s@far.example",
            "RECIPIENT": "list@here.example",
            "USER": "joe",
            "HOST": "here.example",
            "EXT": None,
            "DEFAULT": None,
        }

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Write a file."""
        file = self.folder / name
        file.write_bytes(content.encode("latin-1") if isinstance(content, str) else content)
        file.chmod(mode)
        return file

    def table(self, instructions: str, name: str = "table.cdb") -> None:
        """Make a forwarding database."""
        done = self.make("setforward", name, "draft", instructions)
        assert done == (0, b"", b"")

    def maillist(self, members: str, name: str = "list.bin") -> None:
        """Make a binary list."""
        assert self.make("setmaillist", name, "draft", members) == (0, b"", b"")

    def make(self, command: str, name: str, draft: str, text: str | bytes) -> Result:
        given = text.encode("latin-1") if isinstance(text, str) else text
        return run(command, name, draft, input=given, cwd=self.folder)

    def here(self, *argv: str, input: bytes = b"", **env: str | None) -> Result:
        """Run a command in the folder."""
        return run(*argv, input=input, cwd=self.folder, env={**self.env, "QMAILQUEUE": None, **env})

    def forward(self, *argv: str, message: bytes = MESSAGE, **env: str | None) -> Result:
        """Give a message to a command, as a delivery does: in a file."""
        (self.folder / "mess").write_bytes(message)
        with open(self.folder / "mess", "rb") as file:
            done = subprocess.run(
                argv,
                stdin=file,
                capture_output=True,
                cwd=self.folder,
                env=environment({**self.env, **self.delivery, **env}),
                timeout=30,
                check=False,
            )
        return Result(done.returncode, done.stdout, done.stderr)

    @property
    def queued(self) -> bool:
        """Whether anything is queued."""
        return (self.folder / "envelope").exists()
