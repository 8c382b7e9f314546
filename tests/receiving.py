"""A home for qmail-smtpd, and a queue that keeps what it gets."""

from __future__ import annotations

from pathlib import Path

from commands import Result, run

MESSAGE = b"MAIL FROM:<joe@irs.gov>\r\nRCPT TO:<bill@heaven.af.mil>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n"
CLIENT = {
    "TCPREMOTEIP": "192.0.2.7", "TCPREMOTEHOST": "client.example", "TCPLOCALHOST": "mx.af.mil",
    "TCPREMOTEINFO": None, "RELAYCLIENT": None, "DATABYTES": None,
}  # fmt: skip


class Home:
    """A home, and a queue that keeps in `queued` what it gets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queued = folder / "queued"
        self.queued.mkdir()
        (folder / "control").mkdir()
        self.control(me="heaven.af.mil", rcpthosts="heaven.af.mil")
        queue = folder / "capture"
        queue.write_text(f"#!/bin/sh\ncat >{self.queued}/message\ncat <&1 >{self.queued}/envelope\n")
        queue.chmod(0o755)
        self.env: dict[str, str | None] = {**CLIENT, "QMAILHOME": str(folder), "QMAILQUEUE": str(queue)}

    def control(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "control" / name).write_text(text + "\n")

    def smtpd(self, text: bytes, pass_fds: tuple[int, ...] = (), **env: str) -> Result:
        return run("qmail-smtpd", input=text, pass_fds=pass_fds, env={**self.env, **env})

    def message(self) -> bytes:
        return (self.queued / "message").read_bytes()

    def envelope(self) -> bytes:
        return (self.queued / "envelope").read_bytes()
