"""Moments as people write them: `10m`, `yesterday`, `21:03`, `2026-11-25 21:03`, `@4000000037c219bf2ef02e94`."""

from __future__ import annotations

import time

from supervise.errors import Permanent
from supervise.log.tai64nlocal import DIGITS
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

SECOND = 1_000_000_000  # nanoseconds
UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND, "w": 7 * 86400 * SECOND}
DAYS = {"today": 0, "yesterday": 1}  # how many days ago


def moment(when: bytes, utc: bool = False, now: int | None = None) -> bytes:
    """The TAI64N label of the moment that *when* means.

    Args:
        when: a span before now, as `90s`, `10m`, `1h30m`, `2d`, `1w`; `today` or `yesterday`, which begin at
            midnight; a time of today, as `21:03` or `21:03:43`; a date, as `2026-11-25`, with or without
            a time behind a blank or a `T`, seconds with or without a fraction, and a zone (`Z`, `+01:00`) or
            none; or a label.
        utc: dates and times without a zone are UTC and not local.
        now: nanoseconds since 1970; by default the clock's.

    Raises:
        Permanent: it means none.
    """
    if is_label(when):
        return when
    now = time.time_ns() if now is None else now
    text = when.decode(errors="replace").strip()
    back = span(text)
    try:
        return label(now - back if back is not None else calendar(text, utc, now))
    except (ValueError, OverflowError, OSError):
        raise Permanent(
            b"unknown time %s: it can be as 10m, 1h30m, 2d, today, yesterday, 21:03, 2026-11-25, " % when
            + b'"2026-11-25 21:03:43", or a TAI64N label'
        ) from None


def is_label(text: bytes) -> bool:
    """Whether *text* is a TAI64N label."""
    return len(text) == SIZE and text.startswith(b"@") and not text.translate(None, DIGITS)[1:]


def span(text: str) -> int | None:
    """The nanoseconds of `1h30m` and the like; None if *text* is something else."""
    total, digits = 0, ""
    for sign in text:
        if sign in "0123456789":
            digits += sign
        elif digits and sign in UNITS:
            total, digits = total + int(digits) * UNITS[sign], ""
        else:
            return None
    return None if digits or not text else total


def calendar(text: str, utc: bool, now: int) -> int:
    """Nanoseconds since 1970 of a date, a time of today, or a day's name.

    Raises:
        ValueError, OverflowError, OSError: it is none, or no calendar reaches there.
    """
    from datetime import UTC, datetime, timedelta

    zone = UTC if utc else None
    today = datetime.fromtimestamp(now // SECOND, zone).replace(hour=0, minute=0, second=0)
    if text in DAYS:
        return nanoseconds(today - timedelta(days=DAYS[text]))
    if text[1:2] == ":":
        text = "0" + text
    if text[2:3] == ":":
        text = f"{today.date()} {text}"
    text, dot, rest = text.partition(".")
    fraction = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if dot and not fraction:
        raise ValueError
    there = datetime.fromisoformat(text + rest[len(fraction) :])
    if there.tzinfo is None:
        there = there.replace(tzinfo=zone)
    return nanoseconds(there) + int(fraction[:9].ljust(9, "0"))


def nanoseconds(there: datetime) -> int:
    """*there*, which has no fraction, in nanoseconds since 1970."""
    return int(there.timestamp()) * SECOND
