"""Start a tcpserver, ours or the original, and be its client."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands import BIN, environment
from until import until

OURS = BIN / "tcpserver"
ORIGINAL = Path("/usr/bin/tcpserver")


class Server:
    """A running tcpserver, with `-1` added to its options, so that we learn its *port*.

    Args:
        program: what it runs for each connection.
        options: in front of the host.
        host: where it listens.
        tcpserver: which one.
        env: variables to set, or to unset where the value is None.
        more: for `Popen`.
    """

    def __init__(
        self,
        *program: str | Path,
        options: Sequence[str] = ("-vRHl0",),
        host: str = "127.0.0.1",
        tcpserver: Path = OURS,
        env: Mapping[str, str | None] | None = None,
        **more: object,
    ) -> None:
        self.log_file = tempfile.TemporaryFile()
        self.last = ""  # the log when it has ended
        argv = [os.fsencode(word) for word in (tcpserver, *options, "-1", host, "0", *program)]
        self.process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            argv, env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log_file, **more
        )
        assert self.process.stdout is not None
        with self.process.stdout as told:
            lines = told.read().split()  # to the end: it closes descriptor 1
        if not lines:
            self.stop()
            raise AssertionError(self.last)
        self.ports = [int(line) for line in lines]
        self.port = self.ports[0]
        self.pid = self.process.pid

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Have it leave, and keep its log."""
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self.last = self.log()
            self.log_file.close()

    def log(self) -> str:
        """What it has said so far, without its start."""
        if self.log_file.closed:
            return self.last
        size = os.fstat(self.log_file.fileno()).st_size
        return os.pread(self.log_file.fileno(), size, 0).decode("latin-1")

    def lines(self, count: int) -> list[str]:
        """What it has said, once there are *count* lines."""
        return until(
            lambda: len(found := self.log().splitlines()) >= count and found, what=f"{count} lines: {self.log()}"
        )

    def logged(self, text: str, count: int = 1) -> str:
        """Wait until *text* has been logged *count* times; the log."""
        until(lambda: self.log().count(text) >= count, what=f"{text} in {self.log()}")
        return self.log()

    def connect(self, host: str = "127.0.0.1", source: str | None = None) -> socket.socket:
        """A connection to it."""
        client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        client.settimeout(20)
        if source:
            client.bind((source, 0))
        client.connect((host, self.port))
        return client

    def ask(self, host: str = "127.0.0.1", source: str | None = None, say: bytes = b"") -> bytes:
        """All that it answers to a client that says *say* and then listens to the end."""
        with self.connect(host, source) as client:
            try:
                if say:
                    client.sendall(say)
                    client.shutdown(socket.SHUT_WR)
            except OSError:  # it has closed the connection already
                pass
            return rest(client)

    def variables(self, host: str = "127.0.0.1", source: str | None = None) -> dict[str, str]:
        """The connection's variables in the environment of its program, which is `env`."""
        lines = self.ask(host, source).decode("latin-1").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def pids(self) -> list[str]:
        """The processes that served connections, in their order."""
        return re.findall(r"^tcpserver: pid (\d+) ", self.log(), re.M)


def rest(client: socket.socket) -> bytes:
    """All that still comes from *client*; a reset is an end, too."""
    answer = b""
    try:
        while data := client.recv(65536):
            answer += data
    except ConnectionResetError:
        pass
    return answer
