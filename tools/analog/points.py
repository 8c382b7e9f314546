"""Points of a plot: what happened in some minutes, one after the other."""

from __future__ import annotations

from time import gmtime, strftime, time

from tools.analog.series import MINUTE, Minute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.analog.store import Store

MANY = 500  # points that can be told apart
STEPS = [minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 10080)]


class Points:
    """What *store* knows of the time from *since* to *until*, in seconds since 1970, in points of the same length.

    What was pending at the last line that is known is taken to be so until now, or for a day.

    Args:
        every: seconds that a point stands for, whole minutes; 0 for what gives a few hundred points.

    Attributes:
        since, every: the begin of the first point, and their length, in seconds.
        points: the sums and peaks of each.
    """

    def __init__(self, store: Store, since: int, until: int, every: int = 0) -> None:
        fitting = (step for step in STEPS if (until - since) // step <= MANY)
        self.every = every or next(fitting, STEPS[-1])
        self.since = since // self.every * self.every
        count = max(0, -(-(until - self.since) // self.every))
        self.points = [Minute() for _ in range(count)]
        begin, end = self.since // MINUTE, (self.since + count * self.every) // MINUTE
        minutes = store.minutes(begin, end)
        for series in store.waiting(min(end * MINUTE, int(time()))):
            for number, minute in series.minutes.items():
                if begin <= number and number > series.since // MINUTE:
                    minutes.setdefault(number, Minute()).add(minute)
        for number, minute in minutes.items():
            self.points[(number - begin) * MINUTE // self.every].join(minute)

    def __iter__(self) -> Iterator[tuple[int, Minute]]:
        """When each begins, in seconds since 1970, and the point."""
        return ((self.since + at * self.every, point) for at, point in enumerate(self.points))


def as_json(points: Points) -> bytes:
    """*points*, a JSON object on a line for each."""
    from json import dumps

    lines = []
    for second, point in points:
        fields = {
            "time": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(second)),
            "seconds": points.every,
            "queue": point.queue,
            "concurrency": round(point.busy / points.every, 6),
            "peak": point.peak,
            "successes": point.successes,
            "failures": point.failures,
            "deferrals": point.deferrals,
            "messages": point.left,
            "bytes": point.size,
        }
        lines.append(dumps(fields).encode() + b"\n")
    return b"".join(lines)
