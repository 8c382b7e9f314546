"""What the services of one supervise share."""

from __future__ import annotations

import os

from supervise.tree import state
from supervise.tree.readiness import Readiness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.loop import Loop
    from supervise.room import Room
    from supervise.tree.mark import Mark


class Surroundings:
    """What all services of one supervise share.

    Args:
        loop: what waits for their descriptors.
        room: for descriptors.
        alone: there is one service only.
        mark: where to note, for svscan, what is being started; without it, who is started is held until it is on disk.

    `readiness` hears them; `watcher` tells whose child watches them, as `state.identity` does.
    """

    def __init__(self, loop: Loop, room: Room, alone: bool, mark: Mark | None) -> None:
        self.loop, self.room, self.alone, self.mark = loop, room, alone, mark
        self.readiness = Readiness(loop)
        self.watcher = state.identity(os.getppid())
