"""What svscan knows of a service that is there: who supervises it, and who its log."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.tree.mark import Orphan
    from supervise.tree.supervisor import Supervisor


class Supervised:
    """A service, or its log, that is to have a supervise.

    Args:
        key: its name between us and the supervisor.
        path: NAME or NAME/log.
        fds: the end that it gets of the pipe from a service to its log.

    `supervisor` does the work when supervise is ours; `pid` is the process of any other, and `left` tells
    the status that was there before it.  `alone` says that it needs a supervisor of its own, `ready` whether its
    supervisor says that it is ready, and `waiting` that it is not to be started before others are.  `orphan` is its
    ./run when a supervisor has died between starting and announcing it.
    """

    __slots__ = ("alone", "fds", "key", "left", "orphan", "path", "pid", "ready", "supervisor", "waiting")

    def __init__(self, key: int, path: bytes, fds: Mapping[int, int]) -> None:
        self.key, self.path, self.fds = key, path, fds
        self.supervisor: Supervisor | None = None
        self.pid = 0
        self.left: tuple[int, int] | None = None
        self.orphan: Orphan = None
        self.alone = self.ready = self.waiting = False

    @property
    def running(self) -> bool:
        """Whether it has a supervise."""
        return self.supervisor is not None or self.pid != 0

    def gone(self) -> None:
        """Its supervise is no more."""
        self.supervisor, self.pid = None, 0
        self.ready = self.waiting = False

    def close(self) -> None:
        """Hold its end of the pipe no longer."""
        for fd in self.fds.values():
            os.close(fd)
        self.fds = {}


class Service:
    """A service and its log.

    `seen` is the number of the last look at which it was there.
    """

    __slots__ = ("log", "main", "name", "seen")

    def __init__(self, name: bytes, pipe: tuple[int, int] | None, key: int) -> None:
        self.name = name
        self.main = Supervised(key, name, {1: pipe[1]} if pipe else {})
        self.log = Supervised(key + 1, name + b"/log", {0: pipe[0]}) if pipe else None
        self.seen = 0

    @property
    def parts(self) -> list[Supervised]:
        return [self.main, self.log] if self.log else [self.main]

    @property
    def running(self) -> bool:
        """Whether it has a supervise, or its log has."""
        return self.main.running or (self.log is not None and self.log.running)

    @property
    def complete(self) -> bool:
        """Whether it has a supervise, and its log too."""
        return self.main.running and (self.log is None or self.log.running)

    def rename(self, name: bytes) -> None:
        """Be known by another name of the same folder."""
        self.name = self.main.path = name
        if self.log:
            self.log.path = name + b"/log"
