"""Matches the end of each delivery with its start and its message.

Lines of qmail-send go in, `m` and `d` lines come out:

    m BIRTH DONE BYTES SUCCESSES FAILURES DEFERRALS <SENDER> QP UID
    d RESULT BIRTH START DONE BYTES <SENDER> CHANNEL.RECIPIENT QP UID REASON

RESULT is k, d or z: success, failure, deferral.  Moments are seconds since 1970 with a fraction; TAI64N labels
become such, with nine digits.
"""

from __future__ import annotations

from supervise.stamp import EPOCH, SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[list[bytes], bytes], object]  # takes the words of a line and its moment
    Passing = Callable[[int, int], object]

LABEL = 17  # bytes of a label without its nanoseconds
NOTHING = b"\n"  # no stamp begins so
LATEST = 1 << 40  # seconds since 1970, behind all clocks
DIGITS = 15  # of the bytes of a message, at most
DROPPED = frozenset((b"status:", b"number", b"local:", b"remote:"))
COPIED = frozenset((b"warning:", b"alert:"))
EXITING = b"exiting"
FIRST = b"1:"  # the delivery with which each qmail-send begins


class Queued:
    """A message in the queue.

    Args:
        birth: when it came.
        origin: its bytes, a blank, and the sender in angle brackets.
        owner: qp, a blank, and uid.
    """

    __slots__ = ("birth", "deferrals", "failures", "origin", "owner", "successes")

    def __init__(self, birth: bytes, origin: bytes, owner: bytes) -> None:
        self.birth, self.origin, self.owner = birth, origin, owner
        self.successes = self.failures = self.deferrals = 0

    def counts(self, result: bytes) -> bytes | None:
        """Count the word of a *result*; the begin of the line of the delivery; None if there is none such."""
        if result == b"success:":
            self.successes += 1
            return b"d k"
        if result == b"deferral:" or result == b"report":
            self.deferrals += 1
            return b"d z"
        if result == b"failure:":
            self.failures += 1
            return b"d d"
        return None


class Matcher:
    """Takes lines, and keeps what is pending: messages in the queue and deliveries that have not ended.

    Attributes:
        passing: is called whenever a second is over, with it (since 1970) and the number of lines that the current
            `take` has for output by then; nobody by default.
        messages: by number.
        deliveries: by number with a colon: the moment of the start, the message's number, channel, recipient.
        now: the second of the last line, since 1970.
        peak: the most deliveries that were pending at a time in this second.
    """

    def __init__(self) -> None:
        self.passing: Passing | None = None
        self.messages: dict[bytes, Queued] = {}
        self.deliveries: dict[bytes, tuple[bytes, bytes, bytes, bytes]] = {}
        self.found: list[bytes] = []
        self.second, self.prefix, self.now, self.peak = NOTHING, b"", 0, 0
        self.actions: dict[bytes, Action] = {
            b"starting": self.starting,
            b"delivery": self.delivery,
            b"info": self.info,
            b"end": self.end,
            b"new": self.new,
            b"extra": self.extra,
            b"running": self.forget,
            EXITING: self.forget,
        }

    def take(self, lines: list[bytes]) -> list[bytes]:
        """The `m` and `d` lines that follow from *lines*, warnings and alerts as they are, and what is unknown.

        Args:
            lines: without their line ends; each is complete.
        """
        actions, found = self.actions, self.found
        second, prefix = self.second, self.prefix
        for line in lines:
            words = line.split()
            try:
                word = words[1]
                if word in DROPPED:
                    if words[-1] != EXITING:
                        continue
                    word = EXITING
                if word in COPIED:
                    found.append(line)
                    continue
                action, stamp = actions[word], words[0]
                if not stamp.startswith(second):
                    self.begin(stamp)
                    second, prefix = self.second, self.prefix
                action(words, prefix + b"%09d" % int(stamp[LABEL:], 16) if prefix else stamp)
            except (LookupError, ValueError):
                found.append(b"? " + line)
        self.found = []
        return found

    def begin(self, stamp: bytes) -> None:
        """Another second begins, that of *stamp*; raises ValueError if it is no stamp."""
        if stamp.startswith(b"@"):
            if len(stamp) != SIZE:
                raise ValueError
            second, now = stamp[:LABEL], int(stamp[1:LABEL], 16) - EPOCH
            prefix = b"%d." % now
        else:
            whole, dot, _ = stamp.partition(b".")
            second, now, prefix = whole + dot if dot else NOTHING, int(whole), b""
        if not 0 <= now < LATEST:
            raise ValueError
        if now != self.now:
            if self.passing and self.now:
                self.passing(self.now, len(self.found))
            self.peak = len(self.deliveries)
        self.second, self.prefix, self.now = second, prefix, now

    # -- the lines, by their first word; fields are counted from 0, which is the moment -----------------------
    def new(self, words: list[bytes], moment: bytes) -> None:
        self.messages.pop(words[3], None)

    def info(self, words: list[bytes], moment: bytes) -> None:
        size = words[5]
        if not size.isdigit() or len(size) > DIGITS:
            raise ValueError
        origin, owner = size + b" " + words[7].lower(), words[9] + b" " + words[11]
        self.messages[words[3][:-1]] = Queued(moment, origin, owner)

    def starting(self, words: list[bytes], moment: bytes) -> None:
        delivery, begun = words[3], (moment, words[5], words[7], words[8].lower())
        if delivery == FIRST or delivery in self.deliveries:  # the last qmail-send has crashed: its exit is not told
            self.deliveries.clear()
        self.deliveries[delivery] = begun
        self.peak = max(self.peak, len(self.deliveries))

    def delivery(self, words: list[bytes], moment: bytes) -> None:
        begun = self.deliveries.get(words[2])
        if begun is None:
            return
        start, number, channel, recipient = begun
        message = self.messages.get(number) or Queued(start, b"0 ?", b"? ?")
        result = words[3]
        if not (head := message.counts(result)):
            raise ValueError
        del self.deliveries[words[2]]
        reason = b"report_mangled" if result == b"report" else words[4] if len(words) > 4 else b""
        about = head, message.birth, start, moment, message.origin, channel + b"." + recipient, message.owner, reason
        self.found.append(b" ".join(about))

    def end(self, words: list[bytes], moment: bytes) -> None:
        message = self.messages.pop(words[3], None)
        if message:
            size, _, sender = message.origin.partition(b" ")
            counts = message.successes, message.failures, message.deferrals
            about = (message.birth, moment, size, *counts, sender, message.owner)
            self.found.append(b"m %b %b %b %d %d %d %b %b" % about)

    def extra(self, words: list[bytes], moment: bytes) -> None:
        message = self.messages.get(words[2])
        if message:
            message.successes, message.deferrals, message.failures = int(words[3]), int(words[4]), int(words[5])

    def forget(self, words: list[bytes], moment: bytes) -> None:
        self.deliveries.clear()

    def drop(self, before: int) -> int:
        """Forget messages that came *before* this second since 1970, unless they are being delivered; how many."""
        busy = {number for _, number, _, _ in self.deliveries.values()}
        old = [number for number, one in self.messages.items() if int(one.birth.partition(b".")[0]) < before]
        gone = [number for number in old if number not in busy]
        for number in gone:
            del self.messages[number]
        return len(gone)

    def pending(self) -> bytes:
        """What is pending, as lines that bring another matcher to where this one is."""
        lines = []
        for number, one in self.messages.items():
            size, _, sender = one.origin.partition(b" ")
            qp, _, uid = one.owner.partition(b" ")
            about = one.birth, number, size, sender, qp, uid
            lines.append(b"%b info msg %b: bytes %b from %b qp %b uid %b\n" % about)
            lines.append(b"%b extra %b %d %d %d\n" % (one.birth, number, one.successes, one.deferrals, one.failures))
        for delivery, (start, number, channel, recipient) in self.deliveries.items():
            lines.append(b"%b starting delivery %b msg %b to %b %b\n" % (start, delivery, number, channel, recipient))
        return b"".join(lines)
