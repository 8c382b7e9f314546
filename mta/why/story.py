"""A message's story: what the logs tell, what of it is asked for, and what happens next."""

from __future__ import annotations

from mta.send.channel import NAMES
from mta.send.schedule import next_try
from mta.why.messages import RUNNING, Message
from supervise.stamp import EPOCH, SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mta.why.messages import Delivery
    from mta.why.query import Query
    from mta.why.queue import Queue, Waiting

SECOND = 1_000_000_000  # nanoseconds

# What is the matter with a message now.
OVER, WAITING, NEW, GONE, UNKNOWN = "over", "waiting", "new", "gone", "unknown"


class Next:
    """What comes: the next try for *recipients* on a *channel* at *moment*, seconds since 1970."""

    __slots__ = ("channel", "moment", "recipients")

    def __init__(self, channel: bytes, recipients: list[bytes], moment: int) -> None:
        self.channel, self.recipients, self.moment = channel, recipients, moment


class Story:
    """The story of *message*.

    Attributes:
        deliveries: those of its deliveries that are told.
        waiting: what lies of it in the queue, or None.
        state: OVER: it has been removed from the queue; WAITING; NEW: qmail-send has not taken it on; GONE: neither
            the logs nor the queue know; UNKNOWN: the queue cannot be read.
        next: the tries that come.
        gives_up: seconds since 1970 after which a try that fails is the last one; None when none comes.
    """

    __slots__ = ("deliveries", "gives_up", "message", "next", "state", "waiting")

    def __init__(self, message: Message, query: Query, queue: Queue | None) -> None:
        self.message = message
        self.deliveries = query.part(message)
        self.waiting: Waiting | None = None
        self.next: list[Next] = []
        self.gives_up: int | None = None
        if message.end:
            self.state = OVER
        elif queue is None:
            self.state = UNKNOWN
        else:
            self.waiting = same(queue.look(message.number), message)
            self.state = GONE if self.waiting is None else WAITING if self.waiting.taken else NEW
        if self.waiting and queue and self.state == WAITING:
            self.next = list(tries(self.waiting, message))
            self.gives_up = self.waiting.birth + queue.lifetime if self.next else None


def same(waiting: Waiting | None, message: Message) -> Waiting | None:
    """*waiting* if it is *message*, and not another one that has got its number."""
    return waiting if waiting and message.sender in (None, waiting.sender) else None


def tries(waiting: Waiting, message: Message) -> Iterator[Next]:
    """The tries that come, of each channel on which somebody waits and nothing is under way."""
    for channel, recipients in enumerate(waiting.recipients):
        before = [delivery for delivery in message.deliveries if delivery.channel == NAMES[channel]]
        running = {delivery.recipient for delivery in before if delivery.verdict == RUNNING}
        idle = [recipient for recipient in recipients if recipient not in running]
        moment = waiting.moments[channel]
        if idle and moment is not None:
            last = last_pass(before)
            if last and last >= message.restarted and (second := seconds(last)) is not None:
                moment = next_try(waiting.birth, second, channel)
            yield Next(NAMES[channel], idle, moment)


def last_pass(deliveries: Iterable[Delivery]) -> bytes:
    """When the last pass over the recipients began; nothing if there was none."""
    moment, seen = b"", set[bytes]()
    for delivery in deliveries:
        if not seen or delivery.recipient in seen:
            moment, seen = delivery.start, set()
        seen.add(delivery.recipient)
    return moment


def seconds(moment: bytes) -> int | None:
    """The seconds since 1970 of a label; None if it is none."""
    return int(moment[1:17], 16) - EPOCH if len(moment) == SIZE else None


def of_queue(waiting: Waiting) -> Message:
    """The message that lies *waiting*, of which the logs know nothing."""
    message = Message(waiting.number, label(waiting.birth * SECOND) if waiting.birth else b"")
    message.sender, message.qp, message.uid = waiting.sender, waiting.qp, waiting.uid
    return message
