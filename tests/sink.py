"""Another host: Postfix's smtp-sink, which takes all mail for any address and keeps each message in a file."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from instance import free_port
from until import until


class Sink:
    """The host; use it in a with statement.  Its *port* is known before it listens."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.port = free_port()

    def __enter__(self) -> Sink:
        self.scratch = tempfile.TemporaryDirectory(prefix="sink-")
        self.folder = Path(self.scratch.name)
        self.folder.chmod(0o777)
        who = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = ["smtp-sink", *who, *self.options, "-d", f"{self.folder}/m.", f"127.0.0.1:{self.port}", "1000"]
        path = f"{os.environ['PATH']}:/usr/sbin"
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={"PATH": path})
        until(self.answers, what="smtp-sink")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.scratch.cleanup()

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                return connection.recv(512).startswith(b"220")
        except OSError:
            return False

    def messages(self) -> list[bytes]:
        """The messages, each with lines in front of it about the session and the envelope."""
        return [file.read_bytes() for file in self.folder.iterdir()]

    def received(self, text: str) -> bytes:
        """Wait for the message with *text* in it."""

        def found() -> bytes:
            return next((message for message in self.messages() if text.encode() in message), b"")

        return until(found, what=f"{text!r} at smtp-sink")
