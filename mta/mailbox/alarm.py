"""A time limit for something that blocks in one system call: a lock, a file server that hangs."""

from __future__ import annotations

import signal

from supervise.fd import TimedOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class within:
    """Give the block so many *seconds*; then `TimedOut` is raised in it.

    It uses SIGALRM, which does not reach a program that the block runs.

    >>> with within(30): fcntl.flock(fd, fcntl.LOCK_EX)
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGALRM, expire)
        signal.alarm(self.seconds)

    def __exit__(self, *error: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self.before)


def expire(number: int, frame: object) -> NoReturn:
    raise TimedOut
