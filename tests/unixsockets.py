"""Start a unixserver, ours or the original, and be its client."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from commands import BIN, environment
from tcp import rest
from until import until

OURS = BIN / "unixserver"
ORIGINAL = Path("/usr/bin/unixserver")


class Server:
    """A running unixserver; its socket is `socket` in *folder*, what it prints is in `log` and its complaints in `err`.

    Args:
        folder: where it runs.
        program: what it runs for each connection.
        options: in front of the socket.
        unixserver: which one.
        env: variables to set, or to unset where the value is None.
        ready: what is waited for before anything else; that it listens, if nothing else is said.
        more: for `Popen`.
    """

    def __init__(
        self,
        folder: Path,
        *program: str | Path,
        options: Sequence[str] = ("-v",),
        unixserver: Path = OURS,
        env: Mapping[str, str | None] | None = None,
        ready: Callable[[Server], bool] | None = None,
        **more: object,
    ) -> None:
        self.folder, self.socket = folder, folder / "socket"
        self.log_file, self.err_file = folder / "log", folder / "err"
        argv = [os.fsencode(word) for word in (unixserver, *options, "--", "socket", *program)]
        with self.log_file.open("wb") as log, self.err_file.open("wb") as err:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
                argv, env=environment(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=err, **more
            )
        until(lambda: ready(self) if ready else self.listens(), what="it listens")

    def listens(self) -> bool:
        """Whether it has made its socket and listens; no connection is made for that."""
        assert self.process.poll() is None, self.err()
        lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        listening = {line[6] for line in lines if line[-1] == "socket" and line[3] == "00010000"}
        folder = Path(f"/proc/{self.process.pid}/fd")
        return any(f"socket:[{number}]" in links(folder) for number in listening)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *reason: object) -> None:
        self.end()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after signal *number*."""
        self.process.send_signal(number)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()

    def connect(self) -> socket.socket:
        """A connection to it."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(os.path.relpath(self.socket))
        return client

    def ask(self, say: bytes = b"") -> bytes:
        """All that it answers to a client that says *say* and then listens to the end."""
        with self.connect() as client:
            try:
                client.sendall(say)
                client.shutdown(socket.SHUT_WR)
            except OSError:  # it has closed the connection already
                pass
            return rest(client)

    def log(self) -> str:
        """What it has printed so far."""
        return self.log_file.read_text()

    def err(self) -> str:
        """What it has complained of so far."""
        return self.err_file.read_text()

    def logged(self, text: str, count: int = 1) -> str:
        """Wait until *text* has been printed *count* times; the log."""
        until(lambda: self.log().count(text) >= count, what=f"{text} in {self.log()}")
        return self.log()


def links(folder: Path) -> set[str]:
    """Where the links in *folder* lead."""
    found = set()
    for link in folder.iterdir():
        try:
            found.add(os.readlink(link))
        except FileNotFoundError:  # closed meanwhile
            pass
    return found
