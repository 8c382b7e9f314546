"""Dates as the mail formats write them.

* in header fields (RFC 5322, section 3.3): `1 Jan 2026 00:00:00 -0000`, without the day of the week;
* in the `From ` line of an mbox: `Thu Jan 01 00:00:00 2026`, where others have a blank before a single digit.

Both are in UTC, as the originals have them, whatever zone the machine is in.  `zoned_date` is a header field's in that
zone.
"""

from __future__ import annotations

import time

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")


def header_date(seconds: float | None = None) -> bytes:
    """The date of a moment (seconds since 1970, by default now) for a header field."""
    return moment(time.gmtime(seconds)) + b" -0000"


def zoned_date(seconds: float | None = None) -> bytes:
    """The same in the zone that `TZ` or the machine says: `1 Jan 2026 01:00:00 +0100`."""
    time.tzset()  # the program before us in a chain may have set TZ
    t = time.localtime(seconds)
    minutes = (abs(t.tm_gmtoff) + 30) // 60
    return moment(t) + b" %c%02d%02d" % (b"-" if t.tm_gmtoff < 0 else b"+", *divmod(minutes, 60))


def moment(t: time.struct_time) -> bytes:
    """Day and time of day of *t*, for a header field."""
    clock = t.tm_hour, t.tm_min, t.tm_sec
    return b"%d %s %d %02d:%02d:%02d" % (t.tm_mday, MONTHS[t.tm_mon - 1], t.tm_year, *clock)


def mbox_date(seconds: float | None = None) -> bytes:
    """The date of a moment (seconds since 1970, by default now) for the `From ` line of an mbox."""
    t = time.gmtime(seconds)
    return b"%s %s %02d %02d:%02d:%02d %d" % (
        DAYS[t.tm_wday],
        MONTHS[t.tm_mon - 1],
        t.tm_mday,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
        t.tm_year,
    )
