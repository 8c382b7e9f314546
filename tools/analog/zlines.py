"""zlines - write what zstore has kept, for the reports

Usage: zlines [-u] [--since when] [--until when] store

zlines writes the lines that matchup would have written of all logs that zstore has read into store, those of
one directory in the order of its logs:

    zlines --since yesterday --until today /var/lib/qmail.store | zoverall
    zlines /var/lib/qmail.store | xsender joe@mail.example | zsendmail

--since and --until leave lines of deliveries and messages that ended before or after, and take when as svlog does:
as 10m, 2d, today, 21:03, 2026-11-25, '2026-11-25 21:03'. With -u dates are UTC and not local. Lines about anything else
come with those that are beside them in the store.

Exit status:
    0    the lines were written, or there are none
    111  the store cannot be read, or output cannot be written
    100  wrong usage, or store is something else

See also: zstore, matchup, zoverall, zplot
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.options import anywhere
from tools.analog.lines import put
from tools.analog.period import WORDS, Period
from tools.analog.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DONE = {b"d": 4, b"m": 2}  # where the moment of the end stands


@command(b"zlines", b"[-u] [--since when] [--until when] store")
def main(argv: Argv) -> int:
    options, words = anywhere(argv, b"u", WORDS)
    if len(words) != 1:
        raise Usage
    put(within(Period(dict(options)), Store(words[0])))
    return 0


def within(period: Period, store: Store) -> Iterator[bytes]:
    """The lines in *store* that ended in *period*."""
    for text in store.results(period.since, period.until):
        lines = text.split(b"\n")[:-1]
        yield from lines if period.everything else (line for line in lines if period.has(ended(line)))


def ended(line: bytes) -> int | None:
    """The second since 1970 in which what *line* is about ended; None of a line about something else."""
    place = DONE.get(line[:1])
    if place is None or line[1:2] != b" ":
        return None
    return int(line.split(b" ", place + 1)[place].partition(b".")[0])
