"""The end of a message: everybody has it, or its sender hears who has not; then its files go.

In this order, so that a crash at any point leaves a message that can be finished: the bounce is
sent, its notes go, then info (now the number means nothing to us), then qmail-clean removes the
message itself.
"""

from __future__ import annotations

import os

from mta.queue import layout
from mta.send.bounce import bounce
from mta.send.message import exists
from mta.send.state import SYSTEM_FAILURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.send.cleaner import Cleaner
    from mta.send.schedule import Schedule
    from mta.send.state import State
    from mta.send.watch import Watch


class Finish:
    """Ends the messages that have no recipients left."""

    def __init__(self, state: State, schedule: Schedule, cleaner: Cleaner) -> None:
        self.state, self.schedule, self.cleaner = state, schedule, cleaner

    def wants(self, watch: Watch) -> None:
        watch.until(self.schedule.done.soonest())

    def work(self, watch: Watch) -> None:
        """End what may end, up to the first one that takes time because it bounces."""
        bounced: bool | None = None
        while bounced is None and (number := self.schedule.done.take(watch.now)) is not None:
            if self._over(number, watch.now):
                bounced = bounce(number, self.state)
                if bounced is False or not self._remove(number):
                    self.schedule.done.add(number, watch.now + SYSTEM_FAILURE)
        self.cleaner.flush()

    def _over(self, number: int, now: int) -> bool:
        """Whether message *number* is taken apart and no recipients are left."""
        name = b""
        try:
            for name in layout.local(number), layout.remote(number), layout.todo(number):
                if exists(name):
                    return False
            name = layout.info(number)
            return exists(name)
        except OSError:
            self.state.log.warning(b"unable to stat %s; will try again later" % name)
            self.schedule.done.add(number, now + SYSTEM_FAILURE)
            return False

    def _remove(self, number: int) -> bool:
        self.state.log.end(number)
        try:
            os.unlink(layout.info(number))
        except OSError:
            self.state.log.warning(b"unable to unlink %s; will try again later" % layout.info(number))
            return False
        self.cleaner.remove_message(number)
        return True
