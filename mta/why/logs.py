"""From lines of logs to messages.

Lines come in the order of their times, and are read once. Of messages that nobody asks for, those that qmail-send is
working on are remembered, and the last KEPT, because the line that joins a message to where it came from may come
behind its own. So what is kept does not grow with the logs.

Delivery numbers begin anew with each qmail-send, and a message's number is used again when the message has gone.
"""

from __future__ import annotations

from collections import deque

from mta.why.messages import CUT_OFF, Delivery, Message, Parent, Refusal, Smtp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from mta.why.query import Query

    Kind = TypeVar("Kind")

KEPT = 10_000  # messages, and announcements of some, that wait to be joined


class Daemon:
    """What is known of one qmail-send: messages and deliveries under way, and the number of the last delivery."""

    __slots__ = ("deliveries", "last", "messages")

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.deliveries: dict[int, tuple[Message, Delivery]] = {}
        self.last = 0

    def message(self, number: int, moment: bytes) -> Message:
        """Message *number*; one whose beginning no log has begins now."""
        if number not in self.messages:
            self.messages[number] = Message(number, moment)
        return self.messages[number]

    def restart(self, moment: bytes) -> None:
        """It has gone, or another one has begun."""
        for _, delivery in self.deliveries.values():
            delivery.over(moment, CUT_OFF)
        for message in self.messages.values():
            message.restarted = moment
        self.deliveries.clear()
        self.last = 0


class Stories:
    """What lines tell about what *query* asks for; no more than the last *most* messages and refusals.

    Attributes:
        told: the messages.
        refusals: what was refused by SMTP.
        passed_over: how many messages and refusals were more than *most*.
    """

    def __init__(self, query: Query, most: int) -> None:
        self.query = query
        self.told: deque[Message] = deque(maxlen=most)
        self.refusals: deque[Refusal] = deque(maxlen=most)
        self.passed_over = 0
        self.daemons: dict[int, Daemon] = {}  # by the number of the log directory
        self.by_qp: dict[int, Message] = {}
        self.givers: dict[int, Smtp | Parent] = {}  # by the qp of messages that we have not met

    def take(self, moment: bytes, place: int, line: bytes) -> None:
        """Take a *line*, without its stamp, of the log directory *place*; most lines tell nothing."""
        word, _, rest = line.partition(b" ")
        step = STEPS.get(word)
        if step is None:
            return
        daemon = self.daemons.get(place)
        if daemon is None:
            daemon = self.daemons[place] = Daemon()
        try:
            step(self, moment, daemon, rest)
        except (
            ValueError,
            KeyError,
        ):  # a line of somebody else that looks like one of ours, or of before the log began
            pass

    def meet(self, message: Message) -> None:
        """Join *message*, of which no log tells, to who gave it."""
        if message.qp is not None:
            remember(self.by_qp, message.qp, message)
            self.join(message.qp)

    def under_way(self, number: int) -> Message | None:
        """Message *number*, if a log has its beginning and not its end."""
        found = [daemon.messages[number] for daemon in self.daemons.values() if number in daemon.messages]
        return found[0] if found else None

    # -- lines of qmail-send ---------------------------------------------------------------------
    def new(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        number = number_of(rest)
        daemon.messages[number] = Message(number, moment)

    def info(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        _, number, _, size, _, address, _, qp, _, uid = rest.split(b" ")
        message = daemon.message(int(number.rstrip(b":")), moment)
        message.size, message.sender, message.qp, message.uid = int(size), address[1:-1], int(qp), int(uid)
        if self.query.wants(message):
            self.want(message)
        remember(self.by_qp, message.qp, message)
        self.join(message.qp)

    def starting(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        _, delivery_number, _, number, _, channel, address = rest.split(b" ")
        at = int(delivery_number.rstrip(b":"))
        if at <= daemon.last:
            daemon.restart(moment)
        daemon.last = at
        message = daemon.message(int(number), moment)
        delivery = Delivery(channel, address, moment)
        message.deliveries.append(delivery)
        daemon.deliveries[at] = message, delivery
        if self.query.names_address(address) or message.number == self.query.number:
            self.want(message)

    def verdict(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        number, _, report = rest.partition(b": ")
        word, colon, text = report.partition(b": ")
        message, delivery = daemon.deliveries.pop(int(number))
        delivery.over(moment, word if colon else b"deferral", text if colon else report.replace(b" ", b"_"))
        _, found, qp = text.partition(b"/qp_")
        if found and text.startswith(b"did_"):
            delivery.qp = int(qp.partition(b"/")[0])
            self.give(delivery.qp, Parent(moment, message, delivery))

    def bounce(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        _, number, _, qp = rest.split(b" ")
        message = daemon.messages[int(number)]
        message.bounces.append((moment, int(qp)))
        self.give(int(qp), Parent(moment, message, None))

    def triple_bounce(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        daemon.messages[int(rest.rpartition(b"/")[2])].bounces.append((moment, 0))

    def end(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        daemon.messages.pop(number_of(rest)).end = moment

    def status(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        if rest == b"exiting":
            daemon.restart(moment)

    # -- lines of qmail-smtpd --------------------------------------------------------------------
    def smtp(self, moment: bytes, daemon: Daemon, rest: bytes) -> None:
        _, pid, _, client, what, *words = rest.split(b" ")
        if what == b"qp":
            qp, _, _, _, address, _, _ = words
            self.give(int(qp.rstrip(b":")), Smtp(moment, int(pid), client, address[1:-1]))
        else:
            text = words.pop()
            named = [word[1 : word.rindex(b">")] for word in words if word.startswith(b"<")]
            refusal = Refusal(moment, int(pid), client, named[0], named[1] if len(named) > 1 else None, text)
            if self.query.wants_refusal(refusal):
                self.passed_over += len(self.refusals) == self.refusals.maxlen
                self.refusals.append(refusal)

    # -- putting together ------------------------------------------------------------------------
    def want(self, message: Message) -> None:
        """Tell of *message*."""
        if not message.wanted:
            message.wanted = True
            self.passed_over += len(self.told) == self.told.maxlen
            self.told.append(message)

    def give(self, qp: int, giver: Smtp | Parent) -> None:
        """The message *qp* comes from *giver*."""
        remember(self.givers, qp, giver)
        self.join(qp)

    def join(self, qp: int) -> None:
        """Join the message *qp* to who gave it, when both are known."""
        message, giver = self.by_qp.get(qp), self.givers.get(qp)
        if message is None or giver is None or message.giver:
            return
        if not fits(giver, message):
            return
        message.giver = self.givers.pop(qp)
        if isinstance(giver, Parent):
            giver.message.children.append(message)


STEPS: dict[bytes, Callable[[Stories, bytes, Daemon, bytes], None]] = {
    b"new": Stories.new,
    b"info": Stories.info,
    b"starting": Stories.starting,
    b"delivery": Stories.verdict,
    b"bounce": Stories.bounce,
    b"triple": Stories.triple_bounce,
    b"end": Stories.end,
    b"status:": Stories.status,
    b"qmail-smtpd:": Stories.smtp,
}


def fits(giver: Smtp | Parent, message: Message) -> bool:
    """Whether *message* can come from *giver*, and has not only a number that an older message had."""
    if isinstance(giver, Smtp):
        return giver.sender == message.sender
    return giver.message is not message and giver.message.start <= message.start


def number_of(text: bytes) -> int:
    """The number in `msg 4711`."""
    word, _, number = text.partition(b" ")
    if word != b"msg":
        raise ValueError
    return int(number)


def remember(table: dict[int, Kind], key: int, what: Kind) -> None:
    """Put *what* into *table* as its youngest entry, and drop the oldest if there are too many."""
    table.pop(key, None)
    table[key] = what
    if len(table) > KEPT:
        del table[next(iter(table))]
