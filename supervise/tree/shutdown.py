"""Bring the services of a svscan down: those first that wait for others, then those that they wait for.

A service's log goes last: when its service is gone and nobody writes to the pipe any more, it has read all there is,
and ends by itself.
"""

from __future__ import annotations

import time

from supervise.command import say
from supervise.tree.scan import command, names_after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.tree.scan import Service, Tree

REMIND = 10.0  # seconds after which those are named that are still there
LOG_GRACE = 5.0  # seconds that a log has for what is in the pipe, before it gets TERM


class Shutdown:
    """The way down of all services of *tree*."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.before = {service.name: set(names_after(service.name)) for service in tree.services.values()}
        self.told: set[int] = set()  # keys of those that have been told to end
        self.limits: dict[int, float] = {}  # when a log is told again, with TERM
        self.reminder = time.monotonic() + REMIND

    def step(self) -> bool:
        """Tell those to end whose turn it is; whether nothing is left."""
        for service in self.tree.lost:  # their supervise was killed; the next one is to be told
            self.told.difference_update(part.key for part in service.parts)
            self.tree.watch_rest(service)
        self.tree.lost.clear()
        services = [service for service in self.tree.services.values() if service.running]
        needed = {name for service in services if service.main.running for name in self.before[service.name]}
        free = [service for service in services if service.name not in needed or service.main.key in self.told]
        for service in free or services:  # who wait for each other go together
            self.end(service)
        now = time.monotonic()
        if services and self.reminder <= now:
            self.reminder = now + REMIND
            say(b"svscan: still waiting for " + b" ".join(service.name for service in services))
        return not services

    def end(self, service: Service) -> None:
        """Tell *service* to end, or its log when it has."""
        main, log = service.main, service.log
        if main.running:
            self.tell(main.key, command(main, b"dx") if main.key not in self.told else True)
        elif log and log.running:
            service.close_pipe()
            if log.key not in self.told:
                self.tell(log.key, command(log, b"ox"))
                self.limits[log.key] = time.monotonic() + LOG_GRACE
            elif self.limits[log.key] <= time.monotonic():
                self.limits[log.key] += LOG_GRACE
                command(log, b"d")

    def tell(self, key: int, heard: bool) -> None:
        if heard:
            self.told.add(key)
