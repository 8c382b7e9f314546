"""What the reports have in common: their shape, and sums by sender, by recipient, by reason."""

from __future__ import annotations

from supervise.log.tai64n import write
from tools.analog.columnt import aligned
from tools.analog.results import Delivery, deliveries, results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from tools.analog.results import Message

    Row = tuple[bytes, ...]
    Sums = TypeVar("Sums", bound=tuple[Any, ...])

ABOUT_REASON = b"""Each line is about one reason:
* del: deliveries that ended so.
* xdelay: seconds that these took together.
"""
ABOUT_RECIPIENT = b"""Each line is about one %b:
* sbytes: bytes that were delivered there.
* mess: messages that were delivered there or failed.
* tries: delivery attempts of all results.
* xdelay: seconds that these took together.
"""
ABOUT_SENDER = b"""Each line is about one %b:
* mess: messages.
* bytes: their bytes.
* sbytes: bytes that were delivered, counted for each recipient.
* rbytes: bytes for all recipients, delivered or failed.
* recips: recipients, delivered or failed.
* tries: delivery attempts of all results.
* xdelay: seconds that these took together.
"""


def publish(title: bytes, about: bytes, heading: bytes, rows: Iterable[Row], blank: bytes = b"") -> None:
    """Write a report.

    Args:
        title: its first line.
        about: what its columns mean, as lines.
        heading: the names of the columns.
        rows: the table.
        blank: what becomes a blank once the columns are aligned.
    """
    table = aligned([heading.split(), *map(list, rows)])
    write(b"%b\n\n%b\n%b" % (title, about, table.replace(blank, b" ") if blank else table))


def reasons(name: bytes, result: bytes, title: bytes) -> None:
    """Write the report on why deliveries end with *result* (`k`, `d`, `z`), the reason that takes longest last."""
    sums: dict[bytes, tuple[int, float]] = {}
    for one in deliveries(name):
        if one.result == result:
            count, xdelay = sums.get(one.reason, (0, 0.0))
            sums[one.reason] = count + 1, xdelay + one.xdelay
    rows = [(b"%d" % count, b"%.2f" % xdelay, reason) for reason, (count, xdelay) in ascending(sums)]
    publish(title, ABOUT_REASON, b"del xdelay reason", rows, blank=b"_")


def recipients(name: bytes, title: bytes, word: bytes, key: Callable[[Delivery], bytes]) -> None:
    """Write the report on recipients by *key*, each called a *word*, who takes longest last."""
    sums = ascending(by_recipient(name, key))
    rows = [(*numbers(counts), b"%.2f" % xdelay, who) for who, (*counts, xdelay) in sums]
    publish(title, ABOUT_RECIPIENT % word, b"sbytes mess tries xdelay " + word, rows)


def by_recipient(name: bytes, key: Callable[[Delivery], bytes]) -> dict[bytes, tuple[int, int, int, float]]:
    """What of deliveries by *key*: bytes delivered, messages that are decided, attempts, seconds these took."""
    sums: dict[bytes, tuple[int, int, int, float]] = {}
    for one in deliveries(name):
        sbytes, mess, tries, xdelay = sums.get(key(one), (0, 0, 0, 0.0))
        sbytes += one.size if one.result == b"k" else 0
        sums[key(one)] = sbytes, mess + (one.result != b"z"), tries + 1, xdelay + one.xdelay
    return sums


def senders(name: bytes, title: bytes, word: bytes, key: Callable[[Delivery | Message], bytes]) -> None:
    """Write the report on senders by *key*, each called a *word*, who takes longest last."""
    sums: dict[bytes, tuple[int, int, int, int, int, int, float]] = {}
    for one in results(name):
        mess, size, sbytes, rbytes, recips, tries, xdelay = sums.get(key(one), (0, 0, 0, 0, 0, 0, 0.0))
        if isinstance(one, Delivery):
            xdelay += one.xdelay
        else:
            mess, size, tries = mess + 1, size + one.size, tries + one.tries
            sbytes += one.size * one.successes
            rbytes += one.size * one.recipients
            recips += one.recipients
        sums[key(one)] = mess, size, sbytes, rbytes, recips, tries, xdelay
    rows = [(*numbers(counts), b"%.6f" % xdelay, who) for who, (*counts, xdelay) in ascending(sums)]
    publish(title, ABOUT_SENDER % word, b"mess bytes sbytes rbytes recips tries xdelay " + word, rows)


def ascending(sums: dict[bytes, Sums]) -> list[tuple[bytes, Sums]]:
    """*sums* by what stands last in each, then by name."""
    return sorted(sums.items(), key=lambda item: (item[1][-1], item[0]))


def numbers(counts: Iterable[int]) -> list[bytes]:
    """*counts* in digits."""
    return [b"%d" % count for count in counts]
