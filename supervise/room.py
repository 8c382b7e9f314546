"""Room for descriptors: more for us than for the programs that we start."""

from __future__ import annotations

import os
import resource

ENOUGH = 65536  # descriptors; who must close all there may be takes long when that is a million
RESERVE = 64  # descriptors that a process with many others keeps for what comes up


class Room:
    """As many descriptors for this process as it may have and can use.

    Args:
        wide: false leaves the limit as it is.
    """

    def __init__(self, wide: bool) -> None:
        self.given = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft, hard = self.given
        self.wide = (max(soft, min(hard, ENOUGH)), hard) if wide else self.given
        self.set(self.wide)

    def __enter__(self) -> None:
        """Have no more than we were given, until the block ends, for a child that is started in it."""
        self.set(self.given)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.set(self.wide)

    def leave(self) -> None:
        """In a child: have the limit that it would have without us."""
        self.set(self.given)

    def is_short(self, fd: int) -> bool:
        """Whether few descriptors are left; *fd* is any that is open, and new ones are the lowest that are free."""
        try:
            free = os.dup(fd)
        except OSError:
            return True
        os.close(free)
        most = self.wide[0]
        return free >= most - min(RESERVE, most // 4)

    def set(self, limits: tuple[int, int]) -> None:
        """Put *limits* into force, if that changes anything."""
        if self.wide != self.given:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
