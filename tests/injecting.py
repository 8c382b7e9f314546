"""A home whose queue keeps what it gets."""

from __future__ import annotations

from pathlib import Path

from commands import Result, run

UNSET = (
    *("QMAILUSER", "MAILUSER", "USER", "LOGNAME", "QMAILHOST", "MAILHOST", "QMAILNAME", "MAILNAME", "NAME"),
    *("QMAILSUSER", "QMAILSHOST", "QMAILINJECT", "QMAILMFTFILE", "PROTO"),
)


class Home:
    """A home.

    Attributes:
        folder: where it is.
        env: the environment for commands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "control").mkdir()
        (folder / "control/me").write_text("heaven.af.mil\n")
        queue = folder / "capture"
        queue.write_text(f"#!/bin/sh\ncat >{folder}/message\ncat <&1 >{folder}/envelope\n")
        queue.chmod(0o755)
        self.env: dict[str, str | None] = {
            **dict.fromkeys(UNSET), "QMAILHOME": str(folder), "QMAILQUEUE": str(queue), "QMAILUSER": "joe",
        }  # fmt: skip

    def command(self, *argv: str | bytes, text: bytes = b"", **env: str) -> Result:
        return run(*argv, input=text, env={**self.env, **env})

    @property
    def message(self) -> bytes:
        return (self.folder / "message").read_bytes()

    @property
    def envelope(self) -> list[bytes]:
        """Sender and recipients with their letters."""
        content = (self.folder / "envelope").read_bytes()
        assert content == b"" or content.endswith(b"\0\0")
        return content[:-2].split(b"\0")
