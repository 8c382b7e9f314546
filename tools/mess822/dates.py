"""Dates as they are found in header fields (RFC 822, section 5), taken apart and written anew.

    Thu, 1 Jan 98 10:00 EST        1 Jan 1998 10:00:00 -0500

What stands in front of the last comma or semicolon is no part of the date, nor is a comment.  A year below 50 is one
of 2000 and later, else one below 999 counts from 1900.  The names of zones are those of mess822; a date with another
one, as a date that lacks anything, is none, nor is one that no calendar or clock shows: 31 Nov, or 10:60.
"""

from __future__ import annotations

import time

from mta.date import MONTHS
from mta.tokens import ATOM, COLON, QUOTED, lex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

UNKNOWN = b"-0000"  # the zone of a time in UTC that says nothing of where it was written
DIGITS = 9  # that a number has at most
ZONES = {
    b"UT": 0, b"GMT": 0, b"BST": 60, b"CET": 60, b"MET": 60, b"METDST": 120, b"EET": 120, b"IST": 120, b"HKT": 480,
    b"JST": 540, b"EDT": -240, b"EST": -300, b"CDT": -300, b"CST": -360, b"MDT": -360, b"MST": -420, b"PDT": -420,
    b"PST": -480,
}  # fmt: skip
CYCLE_YEARS, CYCLE_DAYS = 400, 146097  # after which the calendar repeats itself
EPOCH = 719163  # the day 1 Jan 1970, when 1 Jan of year 1 is day 1


class Date:
    """A moment as somebody has written it: the clock of a zone, and how far that is from UTC.

    Attributes:
        offset: minutes that the clock is ahead of UTC.
        zoned: false if the offset is not known, only that the clock is UTC.
    """

    def __init__(
        self, day: int, month: int, year: int, hour: int, minute: int, second: int, offset: int = 0, zoned: bool = True
    ) -> None:
        self.day, self.month, self.year = day, month, year
        self.hour, self.minute, self.second = hour, minute, second
        self.offset, self.zoned = offset, zoned

    def check(self) -> None:
        """Raise ValueError if no calendar has this day, or no clock this time; 23:59:60 is one."""
        from datetime import datetime

        year = (self.year - 1) % CYCLE_YEARS + 1
        datetime(year, self.month, self.day, self.hour, self.minute, self.second - (self.second == 60))

    @classmethod
    def at(cls, seconds: float, *, local: bool = False) -> Self:
        """The moment *seconds* after 1970 began, in UTC or in the zone of the machine."""
        time.tzset()  # the program before us in a chain may have set TZ
        t = time.localtime(seconds) if local else time.gmtime(seconds)
        return cls(t.tm_mday, t.tm_mon, t.tm_year, *t[3:6], t.tm_gmtoff // 60, local)

    def seconds(self) -> int:
        """Seconds since 1970; leap seconds are not counted."""
        from datetime import date

        cycle, year = divmod(self.year - 1, CYCLE_YEARS)
        day = date(year + 1, self.month, 1).toordinal() + self.day - 1 - EPOCH + cycle * CYCLE_DAYS
        return ((day * 24 + self.hour) * 60 + self.minute - self.offset) * 60 + self.second

    def header(self) -> bytes:
        """As header fields have it."""
        clock = self.hour, self.minute, self.second
        return b"%d %s %d %02d:%02d:%02d " % (self.day, MONTHS[self.month - 1], self.year, *clock) + (
            self.zone() if self.zoned else UNKNOWN
        )

    def zone(self) -> bytes:
        """The zone in digits."""
        return (b"-" if self.offset < 0 else b"+") + b"%02d%02d" % divmod(abs(self.offset), 60)

    def clock(self) -> bytes:
        """Day and time of day, without the zone, in the order of ISO 8601."""
        return b"%d-%02d-%02d %02d:%02d:%02d" % (self.year, self.month, self.day, self.hour, self.minute, self.second)

    def digits(self) -> bytes:
        """The same in digits alone: `20260101000000`."""
        return b"%d%02d%02d%02d%02d%02d" % (self.year, self.month, self.day, self.hour, self.minute, self.second)

    def iso(self) -> bytes:
        """The same with the zone."""
        return self.clock() + b" " + self.zone()


def ctime(seconds: int) -> bytes:
    """A moment in the zone of the machine, as the C library's ctime has it: `Thu Jan  1 00:00:00 2026`."""
    time.tzset()
    return time.ctime(seconds).encode()


def parse(text: bytes) -> Date | None:
    """The date that *text* is, in one line; None when it is none."""
    words = list(lex(text, loose=True))
    ends = [at for at, (kind, _) in enumerate(words) if kind in (b",", b";")]
    try:
        return date_of(colon_or_word(words[ends[-1] + 1 :] if ends else words))
    except (ValueError, StopIteration):
        return None


def colon_or_word(tokens: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """What counts among the tokens of a date: words, and colons as `:`."""
    for token in tokens:
        if token == COLON:
            yield b":"
        elif token[0] in (ATOM, QUOTED):
            yield token[1]


def date_of(words: Iterator[bytes]) -> Date:
    """The date that the *words* are.

    Raises:
        ValueError, StopIteration: they are none.
    """
    day = number(next(words))
    month = MONTHS.index(next(words).title()) + 1
    year = number(next(words))
    if year < 50:
        year += 2000
    elif year < 999:
        year += 1900
    hour = number(next(words))
    if next(words) != b":":
        raise ValueError
    minute = number(next(words))
    second, zone = 0, next(words)
    if zone == b":":
        second, zone = number(next(words)), next(words)
    offset = offset_of(zone)
    if next(words, b"").upper() == b"DST":
        offset += 60
    found = Date(day, month, year, hour, minute, second, offset, zone != UNKNOWN)
    found.check()
    return found


def number(word: bytes) -> int:
    """The number that *word* is.

    Raises:
        ValueError: it is none, or a longer one than a date can have.
    """
    if len(word) > DIGITS or not word.isdigit():
        raise ValueError
    return int(word)


def offset_of(zone: bytes) -> int:
    """The minutes that *zone* is ahead of UTC.

    Raises:
        ValueError: it is not known.
    """
    known = ZONES.get(zone.upper())
    if known is not None:
        return known
    hours, minutes = divmod(number(zone.removeprefix(b"-" if zone.startswith(b"-") else b"+")), 100)
    if hours >= 24 or minutes >= 60:
        raise ValueError
    return (hours * 60 + minutes) * (-1 if zone.startswith(b"-") else 1)
