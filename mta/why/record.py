"""Stories as JSON, for programs; `qmail-why` has the table of what is in it."""

from __future__ import annotations

import json

from mta.why.messages import Parent, Smtp
from supervise.history.view import View, readable
from supervise.stamp import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mta.why.messages import Delivery, Refusal
    from mta.why.story import Story

SECOND = 1_000_000_000  # nanoseconds


class Record:
    """Makes a line with a JSON object of each story, with times that are UTC or local."""

    def __init__(self, utc: bool) -> None:
        self.time = View(raw=False, utc=utc, json=True, safe=False, pattern=None).iso

    def story(self, story: Story) -> bytes:
        """*story* as an object."""
        message, waiting = story.message, story.waiting
        fields = {
            "state": story.state,
            "message": message.number,
            "qp": message.qp,
            "uid": message.uid,
            "bytes": message.size,
            "sender": words(message.sender),
            "start": self.time(message.start),
            "end": self.time(message.end),
            "given": self.giver(message.giver),
            "origin": words(waiting.origin) if waiting and waiting.origin else None,
            "deliveries": [self.delivery(delivery) for delivery in story.deliveries],
            "bounces": [{"time": self.time(moment), "qp": qp or None} for moment, qp in message.bounces],
            "next": [
                {
                    "time": self.seconds(each.moment),
                    "channel": words(each.channel),
                    "recipients": [words(recipient) for recipient in each.recipients],
                }
                for each in story.next
            ],
            "gives_up": None if story.gives_up is None else self.seconds(story.gives_up),
        }
        return line(fields)

    def refusal(self, refusal: Refusal) -> bytes:
        """*refusal* as an object."""
        fields = {
            "state": "refused",
            "time": self.time(refusal.moment),
            "client": words(refusal.client),
            "pid": refusal.pid,
            "sender": words(refusal.sender),
            "recipient": words(refusal.recipient),
            "text": words(refusal.text),
        }
        return line(fields)

    def giver(self, giver: Smtp | Parent | None) -> dict[str, object] | None:
        """Where a message came from."""
        if isinstance(giver, Smtp):
            return {"by": "smtp", "time": self.time(giver.moment), "client": words(giver.client), "pid": giver.pid}
        if isinstance(giver, Parent):
            recipient = words(giver.delivery.recipient) if giver.delivery else None
            by = "forward" if giver.delivery else "bounce"
            return {"by": by, "message": giver.message.number, "qp": giver.message.qp, "recipient": recipient}
        return None

    def delivery(self, delivery: Delivery) -> dict[str, object]:
        """One try."""
        return {
            "recipient": words(delivery.recipient),
            "channel": words(delivery.channel),
            "start": self.time(delivery.start),
            "end": self.time(delivery.end),
            "verdict": words(delivery.verdict),
            "text": words(delivery.text),
            "qp": delivery.qp or None,
        }

    def seconds(self, moment: int) -> str | None:
        """A moment in seconds since 1970."""
        return self.time(label(moment * SECOND))


def words(text: bytes | None) -> str | None:
    """*text* as characters."""
    return None if text is None else readable(text)


def line(fields: Mapping[str, object]) -> bytes:
    """An object on a line of its own."""
    return json.dumps(fields).encode() + b"\n"
