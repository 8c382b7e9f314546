"""Hear services say that they are ready: each by a line that it writes to a file.

It is a file and no pipe so that what has been said stays there for the next supervise, whoever dies before it is heard.
"""

from __future__ import annotations

import os

from supervise.files import slurp
from supervise.tree.servicedir import NOTIFICATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.inotify import Inotify
    from supervise.loop import Loop


class Readiness:
    """An ear for the services of one supervise.

    Args:
        loop: what waits for us.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.inotify: Inotify | None = None
        self.calls: dict[int, Callable[[], object]] = {}

    def hear(self, call: Callable[[], object]) -> int:
        """Have *call* made whenever the service that we stand in has said something.

        Returns:
            a number to `forget` it by.

        Raises:
            OSError: there is no file yet, or the kernel has no room for that.
        """
        from supervise import inotify  # 8 ms and a megabyte that only such services need

        if self.inotify is None:
            self.inotify = inotify.Inotify()
            self.loop.hear(self.inotify.fileno(), self.happened)
        watch = self.inotify.add(NOTIFICATIONS, inotify.MODIFY)
        self.calls[watch] = call
        return watch

    def forget(self, watch: int) -> None:
        """Make its call no more."""
        if self.inotify and self.calls.pop(watch, None):
            self.inotify.remove(watch)

    def happened(self) -> None:
        """Make the calls of those that have said something, or of all when the kernel has lost count."""
        assert self.inotify
        said = {watch for watch, _, _ in self.inotify.events()}
        for watch, call in list(self.calls.items()):
            if watch in said or -1 in said:
                call()


def new_file() -> None:
    """Make a new file, which nobody of the last ./run can write to.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.unlink(NOTIFICATIONS)
    except FileNotFoundError:
        pass
    os.close(os.open(NOTIFICATIONS, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def is_said() -> bool:
    """Whether the service that we stand in has said that it is ready."""
    try:
        return b"\n" in (slurp(NOTIFICATIONS) or b"")
    except OSError:
        return False
