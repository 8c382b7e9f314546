"""Requests on their way to another daemon, written without ever waiting for it."""

from __future__ import annotations

import os


class Requests:
    """The writing end of a pipe, and the requests that it has not taken yet.

    Args:
        fd: the pipe; it is made non-blocking, which is what keeps two daemons from waiting
            for each other.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.waiting = bytearray()
        os.set_blocking(fd, False)

    def put(self, request: bytes) -> None:
        """Add a request; it goes out with the next `flush`."""
        self.waiting += request

    def flush(self) -> bool:
        """Write what the pipe takes now; False when the other side is gone."""
        try:
            while self.waiting:
                del self.waiting[: os.write(self.fd, self.waiting)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            return False
        return True
