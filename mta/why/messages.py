"""What the logs and the queue tell of messages.

Moments are the labels of log lines (TAI64N); a line without one has `supervise.history.directory.UNKNOWN`.
Addresses and reports are as the logs have them, with `_` for blanks and `/` for line ends.
"""

from __future__ import annotations

RUNNING, CUT_OFF = b"running", b"cut off"  # verdicts of deliveries that have none; the others are those of the log


class Delivery:
    """One try for one recipient.

    Attributes:
        channel: `local` or `remote`.
        start, end: the moments; `end` is empty while there is none.
        verdict: `success`, `failure`, `deferral`, RUNNING, or CUT_OFF: qmail-send was started anew meanwhile.
        text: the report.
        qp: of the message that it became, if it was forwarded; else 0.
    """

    __slots__ = ("channel", "end", "qp", "recipient", "start", "text", "verdict")

    def __init__(self, channel: bytes, recipient: bytes, start: bytes) -> None:
        self.channel, self.recipient, self.start = channel, recipient, start
        self.end, self.verdict, self.text, self.qp = b"", RUNNING, b"", 0

    def over(self, moment: bytes, verdict: bytes, text: bytes = b"") -> None:
        """It has ended."""
        self.end, self.verdict, self.text = moment, verdict, text


class Smtp:
    """An SMTP client that gave us a message: the *pid* of its qmail-smtpd, the *client*, the *sender*."""

    __slots__ = ("client", "moment", "pid", "sender")

    def __init__(self, moment: bytes, pid: int, client: bytes, sender: bytes) -> None:
        self.moment, self.pid, self.client, self.sender = moment, pid, client, sender


class Parent:
    """A message of which another one came, as its bounce, or as what a *delivery* of it has forwarded."""

    __slots__ = ("delivery", "message", "moment")

    def __init__(self, moment: bytes, message: Message, delivery: Delivery | None) -> None:
        self.moment, self.message, self.delivery = moment, message, delivery

    def of(self, deliveries: list[Delivery]) -> bool:
        """Whether it comes of one of *deliveries*: was forwarded by it, or tells of its failure."""
        return failed(deliveries) if self.delivery is None else self.delivery in deliveries


class Message:
    """A message, from the moment that qmail-send has taken it on, or from where its logs begin.

    Attributes:
        number: of its files in the queue, which later messages can have, too.
        qp, uid, size, sender: as its `info` line tells; None without one.
        start, end: the moments; `end` is empty while there is none.
        giver: where it came from, if a log tells.
        bounces: moment and qp of what was told to the sender; qp 0 for a bounce that was thrown away.
        children: bounces of it and what was forwarded.
        wanted: it is asked for.
        restarted: when qmail-send was started anew while it was there, the last time.
    """

    __slots__ = (
        "bounces", "children", "deliveries", "end", "giver", "number", "qp", "restarted", "sender", "size", "start",
        "uid", "wanted",
    )  # fmt: skip

    def __init__(self, number: int, start: bytes) -> None:
        self.number, self.start, self.end = number, start, b""
        self.qp: int | None = None
        self.uid: int | None = None
        self.size: int | None = None
        self.sender: bytes | None = None
        self.giver: Smtp | Parent | None = None
        self.deliveries: list[Delivery] = []
        self.bounces: list[tuple[bytes, int]] = []
        self.children: list[Message] = []
        self.wanted = False
        self.restarted = b""


class Refusal:
    """What qmail-smtpd has not taken: from which *client* and *sender*, for whom (None: the sender is refused), why."""

    __slots__ = ("client", "moment", "pid", "recipient", "sender", "text")

    def __init__(
        self, moment: bytes, pid: int, client: bytes, sender: bytes, recipient: bytes | None, text: bytes
    ) -> None:
        self.moment, self.pid, self.client = moment, pid, client
        self.sender, self.recipient, self.text = sender, recipient, text


def failed(deliveries: list[Delivery]) -> bool:
    """Whether one of *deliveries* has failed for good."""
    return any(delivery.verdict == b"failure" for delivery in deliveries)
