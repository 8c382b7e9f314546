"""What all parts of qmail-send share."""

from __future__ import annotations

import itertools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.send.channel import Channel
    from mta.send.controls import Controls
    from mta.send.log import Log

SYSTEM_FAILURE = 123  # seconds until something that the system refused is tried again


class State:
    """The log, the controls, the channels, and whether qmail-send is about to leave.

    Attributes:
        leaving: deliveries under way are waited for, nothing new begins.
        deliveries: the numbers of deliveries, one after another for the life of the process.
    """

    def __init__(self, log: Log, controls: Controls) -> None:
        self.log, self.controls = log, controls
        self.channels: list[Channel] = []
        self.leaving = False
        self.deliveries = itertools.count(1)

    def status(self) -> None:
        """Log how many deliveries run."""
        self.log.status([(c.name, len(c.running), c.limit) for c in self.channels], self.leaving)

    def lost(self, daemon: bytes) -> None:
        """A daemon that we need is gone: leave, so that all of us are started afresh."""
        self.log.alert(b"oh no! lost %s connection! dying..." % daemon)
        self.leaving = True
