"""Stories for people, in 80 columns."""

from __future__ import annotations

import textwrap
import time

from mta.send.log import SAFE
from mta.send.rewrite import bounces_to
from mta.why.messages import CUT_OFF, RUNNING, Parent, Smtp, failed
from mta.why.story import GONE, NEW, UNKNOWN, WAITING, seconds
from supervise.history.view import harmless, readable
from supervise.log.tai64nlocal import Dates
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.why.messages import Delivery, Message, Refusal
    from mta.why.story import Story

    Line = tuple[bytes, str]  # a moment, or nothing, and what is said

WIDTH = 80
MARGIN = 23  # columns in front of what is said: the date is there
NAMED = 3  # recipients that are named where there may be many
SECOND = 1_000_000_000  # nanoseconds
UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))
# How lines of our own reports begin, behind the `/` that stands for a line end; any other `/` may be one of the text.
BEGINNINGS = (b"Remote_host_said:_", b"Giving_up_on_", b"Tried_", b"I'm_not_going_to_try_again;_", b"qp_")

VERDICTS = {b"success": "delivered to", b"failure": "not deliverable to", b"deferral": "put off for"}
ENDINGS = {
    NEW: "qmail-send has not taken it on yet",
    GONE: "it is not in the queue any more, and no log tells its end",
    UNKNOWN: "the queue cannot be read, which would tell what comes next",
}


class Text:
    """Makes text of stories, with dates that are UTC or local."""

    def __init__(self, utc: bool) -> None:
        self.dates = Dates(time.gmtime if utc else time.localtime)

    def story(self, story: Story) -> bytes:
        """*story* in lines of 80 columns."""
        lines = [*sorted(past(story), key=lambda line: line[0]), *self.future(story)]
        return self.block(title(story.message), lines)

    def refusal(self, refusal: Refusal) -> bytes:
        """*refusal* in lines of 80 columns."""
        to = "" if refusal.recipient is None else f" to <{shown(refusal.recipient)}>"
        said = f"{client(refusal.client)} got for an answer from qmail-smtpd (pid {refusal.pid}): "
        return self.block(
            f"Refused: from <{shown(refusal.sender)}>{to}", [(refusal.moment, said + report(refusal.text))]
        )

    def block(self, title: str, lines: list[Line]) -> bytes:
        """A paragraph: its *title*, and *lines* with their dates."""
        out = textwrap.wrap(title, WIDTH, subsequent_indent="    ")
        for moment, said in lines:
            date = f"  {self.date(moment)}".ljust(MARGIN)
            for piece in said.split("\n"):
                out += textwrap.wrap(piece, WIDTH, initial_indent=date, subsequent_indent=" " * MARGIN)
                date = " " * MARGIN
        return harmless("\n".join(out).encode()) + b"\n"

    def date(self, moment: bytes) -> str:
        """The date of a label, or nothing."""
        return (self.dates.of(int(moment[1:17], 16)) or b"").decode() if len(moment) == SIZE else ""

    def future(self, story: Story) -> Iterator[Line]:
        """What is going on and what comes."""
        if story.state in ENDINGS:
            yield b"", ENDINGS[story.state]
        if story.waiting is None or story.state != WAITING:
            return
        now = int(time.time())
        for each in story.next:
            when = f"in {span(each.moment - now)}" if each.moment > now else "now, or as soon as qmail-send can"
            said = f"next try for {some(each.recipients)} ({shown(each.channel)}), {when}"
            yield label(each.moment * SECOND), said
        if story.gives_up:
            yield label(story.gives_up * SECOND), "a try that fails after this is the last one"
        if story.waiting.failed:
            yield b"", "what failed is told to the sender when all the others are done"


def title(message: Message) -> str:
    """What a message is called."""
    words = [f"Message {message.number}"]
    if message.qp is not None:
        words.append(f"qp {message.qp}")
    if message.size is not None:
        words.append(f"{message.size} bytes")
    if message.sender is not None:
        words.append(f"from <{shown(message.sender)}>")
    return ", ".join(words)


def past(story: Story) -> Iterator[Line]:
    """What has happened."""
    message = story.message
    yield given(story)
    if story.waiting and story.waiting.origin and not isinstance(message.giver, Smtp):
        yield message.start, f"its header says: from {readable(story.waiting.origin)}"
    before: dict[bytes, bytes] = {}
    for delivery in story.deliveries:
        again = delivery.verdict == b"deferral" and before.get(delivery.recipient) == delivery.text
        before[delivery.recipient] = delivery.text
        yield delivery.end or delivery.start, tried(delivery, again)
    hidden = len(message.deliveries) - len(story.deliveries)
    if hidden:
        yield message.start, f"deliveries to others, not shown: {hidden}"
    for moment, qp in message.bounces if failed(story.deliveries) or not hidden else []:
        to = f"<{shown(bounces_to(message.sender))}>" if message.sender else "the postmaster"
        yield moment, f"what failed was told to {to}, as qp {qp}" if qp else "what failed was thrown away"
    if message.end:
        yield message.end, "done, and removed from the queue"


def given(story: Story) -> Line:
    """Who gave us the message."""
    message = story.message
    giver = message.giver
    if isinstance(giver, Smtp):
        return message.start, f"given by {client(giver.client)} to qmail-smtpd (pid {giver.pid})"
    if isinstance(giver, Parent):
        of = f"message {giver.message.number} (qp {giver.message.qp})"
        if giver.delivery is None:
            return message.start, f"it is the bounce of {of}"
        return message.start, f"forwarded for {shown(giver.delivery.recipient)}, who got {of}"
    if message.uid is None:
        return message.start, "here the logs begin to tell of it" if message.deliveries else "no log tells of it"
    return message.start, f"given by uid {message.uid}{user(message.uid)}"


def tried(delivery: Delivery, again: bool) -> str:
    """What became of a *delivery*; *again*: the same as of the one before."""
    whom = f"{shown(delivery.recipient)} ({shown(delivery.channel)})"
    if delivery.verdict == RUNNING:
        return f"being delivered to {whom}"
    if delivery.verdict == CUT_OFF:
        return f"the delivery to {whom} was cut off by the end of qmail-send"
    verb = VERDICTS.get(delivery.verdict, shown(delivery.verdict))
    begun, ended = seconds(delivery.start), seconds(delivery.end)
    after = f" after {span(ended - begun)}" if begun is not None and ended is not None and ended - begun > 1 else ""
    return f"{verb} {whom}{after}" + (", as before" if again else f": {report(delivery.text)}")


def report(text: bytes) -> str:
    """The report of a log line as it was before, as far as that can be told."""
    for beginning in BEGINNINGS:
        text = text.replace(b"/" + beginning, b"\n" + beginning)
    return "\n".join(shown(line.rstrip(b"/")).replace("_", " ") for line in text.split(b"\n"))


def client(name: bytes) -> str:
    """An SMTP client: the address, and who is there."""
    who, at, address = name.rpartition(b"@")
    return shown(address) + (f" (as {shown(who)})" if at else "")


def user(uid: int) -> str:
    """The name of a user, if there is one."""
    import pwd

    try:
        return f" ({pwd.getpwuid(uid).pw_name})"
    except (KeyError, OverflowError):
        return ""


def some(recipients: list[bytes]) -> str:
    """The first of *recipients*, and how many more there are."""
    named = ", ".join(shown(each) for each in recipients[:NAMED])
    more = len(recipients) - NAMED
    return named + (f" and {more} more" if more > 0 else "")


def shown(address: bytes) -> str:
    """An address as the log would have it."""
    return address.translate(SAFE).decode()


def span(seconds: int) -> str:
    """So many seconds in words."""
    return next((f"{seconds // unit} {name}" for unit, name in UNITS if seconds >= 2 * unit), f"{seconds} seconds")
