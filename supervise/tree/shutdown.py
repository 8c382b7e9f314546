"""Bring the services of a svscan down: those first that wait for others, then those that they wait for.

A service's log goes last: when its service is gone and nobody writes to the pipe any more, it has read all there is,
and ends by itself.
"""

from __future__ import annotations

import time

from supervise.command import say
from supervise.tree.service import LAST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.tree.scan import Tree
    from supervise.tree.supervised import Service, Supervised

REMIND = 10.0  # seconds after which those are named that are still there
LOG_GRACE = 5.0  # seconds that a log has for what is in the pipe, before it gets TERM


class Shutdown:
    """The way down of all services of *tree*."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        tree.closing = True
        order = tree.order()
        self.before = {name: order.before(name) for name in order.there}
        self.told: set[int] = set()  # keys of those that have been told to end
        self.limits: dict[int, float] = {}  # when a log is told again, with TERM
        self.reminder = time.monotonic() + REMIND

    def step(self) -> bool:
        """Tell those to end whose turn it is; whether nothing is left."""
        for part in self.tree.lost:  # their supervise was killed; the next one is to be told
            self.told.discard(part.key)
        self.tree.lost = [part for part in self.tree.lost if not self.tree.watch_again(part)]
        services = [service for service in self.tree.services.values() if service.running]
        needed = {name for service in services if service.main.running for name in self.before.get(service.name, [])}
        free = [service for service in services if service.name not in needed or service.main.key in self.told]
        for service in free or services:  # who wait for each other go together
            self.end(service)
        now = time.monotonic()
        if services and self.reminder <= now:
            self.reminder = now + REMIND
            say(b"svscan: still waiting for " + b" ".join(service.name for service in services))
        return not services and not self.tree.lost

    def end(self, service: Service) -> None:
        """Tell *service* to end, or its log when it has."""
        if service.main.running:
            self.tell(service.main, b"dx")
        elif service.main not in self.tree.lost:
            service.main.close()
            if service.log and service.log.running:
                self.end_log(service.log)

    def end_log(self, log: Supervised) -> None:
        """Tell a log, which nobody writes to any more, to end when it has read what there is."""
        now = time.monotonic()
        if log.key not in self.told:
            self.tell(log, b"ox" if log.pid else LAST)
            self.limits[log.key] = now + LOG_GRACE
        elif self.limits[log.key] <= now:
            self.limits[log.key] += LOG_GRACE
            self.tree.command(log, b"d")

    def tell(self, part: Supervised, letters: bytes) -> None:
        if part.key not in self.told and self.tree.command(part, letters):
            self.told.add(part.key)
