"""lock/trigger: the FIFO that tells qmail-send of a new message.

A submitter writes one byte into it without waiting.  When nobody reads, qmail-send is
down and will look into todo when it starts.
"""

from __future__ import annotations

import os

from mta.queue.layout import TRIGGER


def pull() -> None:
    """Wake qmail-send, if it runs; it is no failure when that does not work."""
    try:
        fd = os.open(TRIGGER, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, b"\0")
    except OSError:  # full: it is pulled already
        pass
    finally:
        os.close(fd)


class Trigger:
    """The reading end: poll it, and when it is readable, somebody has pulled.

    Call `set` before each look into todo, never after: whoever links into todo later
    pulls the new one.
    """

    def __init__(self) -> None:
        self.fd = -1

    def set(self) -> None:
        """Forget all pulls so far.

        Raises:
            OSError: it cannot be opened; there is no trigger until the next call.
        """
        self.close()
        self.fd = os.open(TRIGGER, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor to poll for reading; -1 when there is none."""
        return self.fd

    def close(self) -> None:
        """Hear no more pulls."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
