"""What happened in each minute, for plots."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.analog.matching import Matcher

MINUTE = 60  # seconds
LONG = 86400  # seconds without a line; longer, and nobody was there, or the clock has been set
SUMS = ("left", "size", "successes", "failures", "deferrals", "busy")


class Minute:
    """Sums and peaks of one minute.

    Attributes:
        left: messages that left the queue.
        size: their bytes.
        successes, failures, deferrals: delivery attempts that ended.
        queue: the most messages in the queue at the end of a second.
        peak: the most deliveries at a time.
        busy: seconds of deliveries, so that busy / 60 is the average concurrency.
    """

    __slots__ = FIELDS = ("left", "size", "successes", "failures", "deferrals", "queue", "peak", "busy")

    def __init__(self, *values: int) -> None:
        for field, value in zip(self.FIELDS, values or [0] * len(self.FIELDS), strict=True):
            setattr(self, field, value)

    left: int
    size: int
    successes: int
    failures: int
    deferrals: int
    queue: int
    peak: int
    busy: int

    def values(self) -> list[int]:
        """All of it, in the order of the fields."""
        return [getattr(self, field) for field in self.FIELDS]

    def add(self, other: Minute) -> None:
        """Add the same minute of another log, *other*."""
        for field in self.FIELDS:
            setattr(self, field, getattr(self, field) + getattr(other, field))

    def join(self, other: Minute) -> None:
        """Add another minute of the same log, of whose peaks the higher ones count."""
        for field in SUMS:
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.queue, self.peak = max(self.queue, other.queue), max(self.peak, other.peak)


class Series:
    """What happens in the minutes of one log; `minutes` has them by their number since 1970.

    Args:
        since, queue, running: from the end of which second on so many messages and deliveries have been pending.
    """

    def __init__(self, since: int = 0, queue: int = 0, running: int = 0) -> None:
        self.since, self.queue, self.running = since, queue, running
        self.minutes: dict[int, Minute] = {}
        self.ends: list[list[int]] = []  # the minutes of the lines to come: minute, number of lines up to its end

    def minute(self, number: int) -> Minute:
        """The minute *number*."""
        if number not in self.minutes:
            self.minutes[number] = Minute()
        return self.minutes[number]

    def passed(self, matcher: Matcher, second: int, lines: int) -> None:
        """A *second* is over; the matcher has *lines* by now."""
        self.spread(second)
        self.since, self.queue, self.running = second, len(matcher.messages), len(matcher.deliveries)
        minute = self.minute(second // MINUTE)
        minute.peak = max(minute.peak, matcher.peak)
        minute.queue = max(minute.queue, self.queue)
        self.reach(second // MINUTE, lines)

    def spread(self, until: int) -> None:
        """What was pending stayed so up to the second *until*, unless that is too long."""
        second = self.since if until - self.since <= LONG else until
        while second < until and (self.queue or self.running):
            end = min(until, (second // MINUTE + 1) * MINUTE)
            minute = self.minute(second // MINUTE)
            minute.busy += self.running * (end - second)
            minute.queue, minute.peak = max(minute.queue, self.queue), max(minute.peak, self.running)
            second = end

    def reach(self, number: int, lines: int) -> None:
        """Up to the minute *number* there are so many *lines*."""
        if self.ends and self.ends[-1][0] == number:
            self.ends[-1][1] = lines
        else:
            self.ends.append([number, lines])

    def count(self, found: list[bytes], second: int) -> None:
        """Count the lines *found* by a matcher, the last of them in this *second*."""
        self.reach(second // MINUTE, len(found))
        begin = 0
        for number, end in self.ends:
            if end > begin:
                self.add(self.minute(number), found[begin:end])
            begin = end
        self.ends = []

    def add(self, minute: Minute, lines: list[bytes]) -> None:
        """Count *lines* of one minute."""
        text = b"\n".join([b"", *lines])
        minute.left += text.count(b"\nm ")
        minute.successes += text.count(b"\nd k ")
        minute.failures += text.count(b"\nd d ")
        minute.deferrals += text.count(b"\nd z ")
        minute.size += sum(int(line.split(b" ", 4)[3]) for line in lines if line.startswith(b"m "))
