"""Dates as the mail formats write them.

* in header fields (RFC 5322, section 3.3): `1 Jan 2026 00:00:00 -0000`, without the day of the week;
* in the `From ` line of an mbox: `Thu Jan  1 00:00:00 2026`;
Both are in UTC, as the originals have them, whatever zone the machine is in.
"""

import time

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")


def header_date(seconds: float | None = None) -> bytes:
    """The date of a moment (seconds since 1970, by default now) for a header field."""
    t = time.gmtime(seconds)
    return b"%d %s %d %02d:%02d:%02d -0000" % (
        t.tm_mday,
        MONTHS[t.tm_mon - 1],
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def mbox_date(seconds: float | None = None) -> bytes:
    """The date of a moment (seconds since 1970, by default now) for the `From ` line of an mbox."""
    t = time.gmtime(seconds)
    return b"%s %s %2d %02d:%02d:%02d %d" % (
        DAYS[t.tm_wday],
        MONTHS[t.tm_mon - 1],
        t.tm_mday,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
        t.tm_year,
    )
