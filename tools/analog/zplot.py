"""zplot - plot the queue and the deliveries over time

Usage: zplot [-u] [--since when] [--until when] [--every span] [--json] store
       zplot [-u] -p folder store

zplot makes plots of what zstore has learnt from logs: the length of the queue, the concurrency, successful, failed and
deferred delivery attempts in a minute, and messages and bytes that left the queue in a minute. It writes one SVG
image to descriptor 1. If store knows several log directories, the plots show their sums. What was pending at the last
line of a log is shown as pending until now. While nothing is logged for more than a day, nothing is shown.

The queue is what the log tells of it: a message that was deleted by hand (qmhandle) is in it until its number is used
again, or zstore -k forgets it; one to which queue-fix has given another number counts under the old one.

    --since when, --until when
                 the time that is shown; the last day by default. when is as for svlog: as 2d, yesterday, 21:03,
                 2026-11-25, '2026-11-25 21:03'
    --every span the time of one point, as 5m or 1h; what gives a few hundred points by default. A point has sums,
                 averages and peaks of this time
    --json       write each point as a JSON object on a line of its own instead: time (ISO 8601, UTC), seconds (what
                 the point is about), queue (the most messages), concurrency (the average), peak (the most deliveries
                 at a time), successes, failures, deferrals, messages, bytes (sums)
    -p folder    put day.svg, week.svg, month.svg, year.svg and index.html, which shows them, into folder. Each
                 is replaced in one step
    -u           dates are UTC and not local

    zstore /var/lib/qmail.store && zplot -p /var/www/mail /var/lib/qmail.store

Exit status:
    0    the plots were written
    111  the store cannot be read, or the plots cannot be written
    100  wrong usage, or store is something else

Environment:
    TZ  the time zone

See also: zstore, zlines, svlog
"""

from __future__ import annotations

import time

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.history.moment import SECOND, span
from supervise.log.tai64n import write
from supervise.options import anywhere
from tools.analog.period import ALWAYS, WORDS, Period
from tools.analog.points import Points
from tools.analog.store import Store

DAY = 86400  # seconds
PAGES = {b"day": DAY, b"week": 7 * DAY, b"month": 31 * DAY, b"year": 366 * DAY}
WAYS = {**WORDS, b"every": b"every:", b"json": b"json", b"pages": b"p:"}


@command(b"zplot", b"[-u] [--since when] [--until when] [--every span] [--json] [-p folder] store")
def main(argv: Argv) -> int:
    found, words = anywhere(argv, b"up:", WAYS)
    options = dict(found)
    if len(words) != 1 or (b"p" in options and not options.keys() <= {b"p", b"u"}):
        raise Usage
    if b"p" in options:
        put_pages(Store(words[0]), options[b"p"], b"u" in options)
        return 0
    period = Period(options)
    until = int(time.time()) if period.until == ALWAYS else period.until
    length = every(options)
    points = Points(Store(words[0]), period.since or until - DAY, until, length)
    if b"json" in options:
        from tools.analog.points import as_json

        write(as_json(points))
    else:
        from tools.analog.plot import page

        write(page(points, period.utc))
    return 0


def every(options: dict[bytes, bytes]) -> int:
    """The seconds that a point is asked to stand for; 0 if nothing is asked."""
    if b"every" not in options:
        return 0
    found = span(options[b"every"].decode(errors="replace"))
    if not found or found % (60 * SECOND):
        raise Usage
    return found // SECOND


def put_pages(store: Store, folder: bytes, utc: bool) -> None:
    """Put the plots of the last day, week, month and year into *folder*."""
    from supervise.fd import write_all
    from supervise.files import announced
    from tools.analog.plot import index, page

    now = int(time.time())
    files = {name + b".svg": page(Points(store, now - seconds, now), utc) for name, seconds in PAGES.items()}
    try:
        for name, content in {**files, b"index.html": index(list(files))}.items():
            with announced(folder + b"/" + name, folder + b"/" + name + b".new") as fd:
                write_all(fd, content)
    except OSError as error:
        raise Temporary(b"unable to write plots into " + folder, error) from None
