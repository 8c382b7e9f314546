"""A home whose queue keeps all that it is given.

home = Home(tmp_path)
run("qmail-qmtpd", input=..., env=home.env)
assert home.queued() == [(b"Received: ...", b"Fsender\\0Trecipient\\0\\0")]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CLIENT: Mapping[str, str | None] = {
    "TCPREMOTEIP": "192.0.2.7", "TCPREMOTEHOST": "client.example", "TCPLOCALHOST": "mx.af.mil",
    "TCPREMOTEINFO": None, "RELAYCLIENT": None, "DATABYTES": None,
}  # fmt: skip


class Home:
    """The home, and the *env* for servers in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder, folder / "kept"
        self.kept.mkdir()
        (folder / "control").mkdir()
        self.queue = folder / "capture"
        self.take("cat >{kept}/$$.m; cat <&1 >{kept}/$$.e")
        self.env: dict[str, str | None] = {**CLIENT, "QMAILHOME": str(folder), "QMAILQUEUE": str(self.queue)}

    def take(self, script: str) -> None:
        """Have the queue do *script* with a message."""
        self.queue.write_text("#!/bin/sh\n" + script.format(kept=self.kept) + "\n")
        self.queue.chmod(0o755)

    def control(self, **files: str) -> None:
        """Write control files."""
        for name, text in files.items():
            (self.folder / "control" / name).write_text(text + "\n")

    def queued(self) -> list[tuple[bytes, bytes]]:
        """The messages, without our Received line, and their envelopes, if these are whole; by their content."""
        found = []
        for envelope in self.kept.glob("*.e"):
            addresses = envelope.read_bytes()
            if addresses.endswith(b"\0\0"):
                message = envelope.with_suffix(".m").read_bytes()
                found.append((message.partition(b" -0000\n")[2], addresses))
        return sorted(found)

    def messages(self) -> list[bytes]:
        """The messages as they are, those without a whole envelope, too."""
        return [message.read_bytes() for message in self.kept.glob("*.m")]
