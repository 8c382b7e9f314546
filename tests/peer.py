"""A server on a loopback port that plays a script, well or badly, and remembers what it heard.

    with Peer([b"220 hi\\r\\n", Until(b"\\r\\n"), RESET]) as peer:
        talk_to(peer.port)
    assert peer.heard == [b"HELO me\\r\\n"]

A script is a list of steps for one connection; the connections get the scripts in turn, and
when there are no more they are not accepted.  A step is bytes to send, something to wait
for, or a way to end.  A script that ends without one reads on until the other side leaves.
"""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType

CLOSE, RESET, STALL = "close", "reset", "stall"  # leave; leave with a bang; say nothing more, and listen no more


class Until(bytes):
    """Read until these bytes have come since the last such step."""


Step = bytes | Until | str

LINE = Until(b"\r\n")
GOOD: list[Step] = [  # a server of mail that takes a message
    b"220 hi\r\n", LINE, b"250 helo\r\n", LINE, b"250 sender\r\n", LINE, b"250 rcpt\r\n", LINE, b"354 go\r\n",
    Until(b"\r\n.\r\n"), b"250 taken\r\n",
]  # fmt: skip


class Peer:
    """The server; its *port*; what it *heard*, and from which address: lists with an entry for each connection."""

    def __init__(self, *scripts: list[Step], host: str = "127.0.0.1", port: int = 0) -> None:
        self.scripts = scripts
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family)
        self.port = int(self.listener.getsockname()[1])
        self.heard: list[bytes] = []
        self.callers: list[str] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self) -> Peer:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        except OSError:
            pass
        self.listener.close()
        self.thread.join()

    def serve(self) -> None:
        for script in self.scripts:
            try:
                connection, caller = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                self.heard.append(b"")
                self.callers.append(caller[0])
                try:
                    self.play(connection, script)
                except OSError:
                    pass

    def play(self, connection: socket.socket, script: list[Step]) -> None:
        seen = 0
        for step in script:
            if isinstance(step, Until):
                while (at := self.heard[-1].find(step, seen)) < 0:
                    if not self.hear(connection):
                        return
                seen = at + len(step)
            elif isinstance(step, bytes):
                connection.sendall(step)
            elif step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            elif step == STALL:
                self.over.wait(20)
                return
            else:
                return
        while self.hear(connection):
            pass

    def hear(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        self.heard[-1] += data
        return data
