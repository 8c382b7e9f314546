"""qmail-scanner in a home, a message for it, and what daemons answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capture import Home
from commands import BIN, Result, environment
from peer import Until
from until import until

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
MESSAGE = b"Subject: x\n\nhello\n"
ENVELOPE = b"Fjoe@irs.gov\0Tsue@heaven.af.mil\0\0"
SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 15.0 / 5.0\r\n\r\nA,B"
RSPAMD_BODY = b'{"action": "reject", "score": 20.5, "required_score": 15.0}'
RSPAMD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(RSPAMD_BODY) + RSPAMD_BODY
ASKED = {
    "clamd": (Until(bytes(4)), b"stream: OK\0"),
    "spamd": (Until(b"hello\n"), SPAMD),
    "rspamd": (Until(b"hello\n"), RSPAMD),
}


class Scanned:
    """A home whose queue keeps what passes."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        (folder / "bin").mkdir()
        (folder / "bin" / "qmail-queue").symlink_to(self.home.queue)
        self.env = {**self.home.env, "QMAILQUEUE": str(BIN / "qmail-scanner")}

    def send(self, message: bytes = MESSAGE, envelope: bytes = ENVELOPE, **env: str) -> Result:
        """Give it a message as qmail-queue gets one."""
        (self.home.folder / "envelope").write_bytes(envelope)
        with open(self.home.folder / "envelope", "rb") as addresses:
            done = subprocess.run(
                [BIN / "qmail-scanner"], input=message, stdout=addresses, stderr=subprocess.PIPE,
                env=environment({**self.env, **env}), timeout=60, check=False,
            )  # fmt: skip
        return Result(done.returncode, b"", done.stderr)

    def passed(self) -> bytes:
        """The only message that has passed."""
        assert [file.read_bytes() for file in self.home.kept.glob("*.e")] == [ENVELOPE]
        return self.home.messages()[0]


@contextmanager
def clamd(folder: Path, more: str = "") -> Iterator[Path]:
    """A real clamd that knows EICAR alone, with *more* in its settings; its socket."""
    (folder / "db").mkdir(parents=True)
    (folder / "db" / "test.ndb").write_text(f"Eicar-Test:0:*:{EICAR.hex()}\n")
    socket = folder / "ctl"
    user = "User root\n" if os.geteuid() == 0 else ""
    settings = f"DatabaseDirectory {folder}/db\nLocalSocket {socket}\nForeground yes\n{user}{more}"
    (folder / "conf").write_text(settings)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(["/usr/sbin/clamd", "-c", folder / "conf"], stdout=log, stderr=log)
    try:
        until(socket.exists, 60, what=(folder / "log").read_text())
        yield socket
    finally:
        process.kill()
        process.wait()
