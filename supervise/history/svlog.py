"""svlog - read the logs of services

Usage: svlog [-fru] [-n lines] [-g regex] [--since when] [--until when] [--json] [service | dir ...]

svlog prints what multilog has written to the log directories of services: old logs, compressed by gzip or
Zstandard or not at all, and current. The lines of all services come in the order of their times.

service is a service directory, whose log directory is log/main or the only one below log. Or it is the name of
a service, which is looked for here, and in the folder that svscan watches. dir is a log directory. Without
arguments svlog reads all services in the folder that svscan watches. That folder is $SVDIR; if that is not set,
$QMAILHOME/service; if that is not set either, the first of /service, /etc/service and /var/qmail/service that
there is, as for svstat and svtop.

In place of a line's stamp its local date and time are printed; when there are several services, the name of the
line's service follows. A line without a stamp goes with the line before it. In a file that does not begin with
stamps it counts as written when the file was finished or last written to.

    -f, --follow       print what there is, the last 10 lines if neither -n nor --since is given, and then what
                       comes, from log directories that appear later too, as long as somebody reads it
    -n, --lines lines  print only the last lines of what would be printed
    --since when       print only lines of that moment and later
    --until when       print only lines before that moment
    -g, --grep regex   print only lines in which the regular expression (of Python) is found; stamps do not count
    -r, --raw          print stamps as they are; tai64nlocal makes dates of them
    -u, --utc          print dates as UTC and not as local time, and read them so in when
    --json             print each line as a JSON object: time (ISO 8601, with nanoseconds; null if nothing is known
                       of it), tai64n (the stamp; null without one), service, text

when is a span before now, as 90s, 10m, 1h30m, 2d, 1w; or yesterday or today, which begin at midnight; or a time of
today, as 21:03; or a date, as 2026-11-25, '2026-11-25 21:03', 2026-11-25T21:03:43.787492500+01:00, which is local
unless it has a zone; or a TAI64N label. Logs that were finished before --since are not read, nor those that
begin and were last written to after --until; of the others every line is looked at.

The lines of one log directory come in the order in which they were written, also when the clock was set back.
A compressed log that is empty, cut off or damaged is named on descriptor 2; what can be read of it is printed.

Options may stand behind arguments, and --since=when is the same as --since when. On a terminal, control
characters in lines are shown as \\x1b; elsewhere lines are printed as they are. A line of more than a million
bytes is printed in pieces.

Exit status:
    0    lines were printed, or -f
    1    there were none
    111  something could not be read; all else was printed
    100  wrong usage

Environment:
    SVDIR, QMAILHOME  where services are looked for
    TZ                the time zone

See also: multilog, tai64nlocal, svscan
"""

from __future__ import annotations

import heapq
import os
import time
from itertools import islice

from supervise.command import Argv, command, say
from supervise.errors import Usage
from supervise.history.complaints import Complaints
from supervise.history.directory import NEVER, UNKNOWN, entries_of, logs_in, select, tail, unable
from supervise.history.follower import Follower, Watch
from supervise.history.moment import moment
from supervise.history.place import Places
from supervise.history.view import View
from supervise.log.tai64n import write
from supervise.options import anywhere
from supervise.stamp import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from supervise.history.directory import Complain, Entry
    from supervise.history.logfile import Log

    History = tuple[int, list[Log]]  # the number of a log directory, and its logs

LETTERS = b"fn:g:ru"
WORDS = {
    b"follow": b"f",
    b"lines": b"n:",
    b"since": b"since:",
    b"until": b"until:",
    b"grep": b"g:",
    b"raw": b"r",
    b"utc": b"u",
    b"json": b"json",
}
CHUNK = 4096  # lines at a time
GROWTH = 8  # how much farther back the last lines are looked for each time
FOLLOWED = 10  # lines that are printed before those that come
LOOK = 1.0  # seconds from one look for other log directories to the next
NOTHING = 1  # exit code when there was nothing to print


@command(b"svlog", b"[-fru] [-n lines] [-g regex] [--since when] [--until when] [--json] [service | dir ...]")
def main(argv: Argv) -> int:
    request = Request(argv)
    return follow(request) if request.follow else show(request)


class Request:
    """What the command line asks for.

    Raises:
        Usage: it is wrong.
        Permanent: a moment, a number or a pattern is.
    """

    def __init__(self, argv: Argv) -> None:
        found, self.words = anywhere(argv, LETTERS, WORDS)
        given = dict(found)
        self.follow = b"f" in given
        for pair in ((b"f", b"until"), (b"json", b"r")):
            if given.keys() >= set(pair):
                raise Usage
        utc = b"u" in given
        self.since = moment(given[b"since"], utc) if b"since" in given else b""
        self.until = moment(given[b"until"], utc) if b"until" in given else b""
        self.lines = number(given[b"n"]) if b"n" in given else None
        self.view = View(b"r" in given, utc, b"json" in given, os.isatty(1), given.get(b"g"))


def number(digits: bytes) -> int:
    """The number that *digits* are."""
    if not digits.isdigit():
        raise Usage
    return int(digits)


def show(request: Request) -> int:
    """Print what there is; the exit code."""
    view, complain = request.view, Complaints(b"svlog")
    histories = []
    for at, folder in Places(request.words, view.names, complain).new():
        try:
            histories.append((at, select(logs_in(folder, complain), request.since, request.until)))
        except OSError as error:
            complain(unable(folder, error))
    view.named = len(view.names) > 1
    printed = put(view, wanted(request, histories, complain))
    if not printed and not complain.code:
        say(b"svlog: nothing found")
        return NOTHING
    return complain.code


def follow(request: Request) -> int:
    """Print the last of what there is, and then what comes, until nobody takes it any more; the exit code."""
    view, complain = request.view, Complaints(b"svlog")
    places, watch = Places(request.words, view.names, complain), Watch()
    followers: list[Follower] = []
    view.named = len(request.words) != 1
    if request.lines is None and not request.since:
        request.lines = FOLLOWED
    beginning, look = label(), 0.0
    while True:
        if time.monotonic() >= look:
            look = time.monotonic() + LOOK
            fresh = begin(places.new(), watch, complain)
            histories = [(one.number, select(one.whole, request.since, b"")) for one in fresh]
            put(view, wanted(request, histories, complain))
            followers += fresh
            for one in followers:
                watch.add(one.folder)  # which can be another folder by now
            request.lines, request.since = None, beginning  # of what appears later, all that is new
        put(view, heapq.merge(*[one.entries() for one in followers]))
        if not (followers or places.awaited) or not watch.wait():
            return complain.code


def begin(places: list[tuple[int, bytes]], watch: Watch, complain: Complaints) -> list[Follower]:
    """Begin to follow *places*."""
    followers = []
    for at, folder in places:
        watch.add(folder)  # before we look: nothing comes between
        try:
            followers.append(Follower(folder, at, complain))
        except OSError as error:
            complain(unable(folder, error))
    return followers


def put(view: View, entries: Iterable[Entry]) -> bool:
    """Print what the view shows of *entries*; whether that was anything."""
    printed = False
    for chunk in chunks(entries):
        if chosen := view.chosen(chunk):
            write(view.text(chosen))
            printed = True
    return printed


def chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """*entries*, many at a time."""
    entries = iter(entries)
    while chunk := list(islice(entries, CHUNK)):
        yield chunk


def wanted(request: Request, histories: list[History], complain: Complain) -> Iterable[Entry]:
    """The entries of *histories* that are asked for, in the order of their times."""
    if request.lines is None:
        return within(request, merged(histories, complain))
    window = request.lines
    while request.lines:
        tails = [(at, *tail(logs, window)) for at, logs in histories]
        kept: list[Entry] = []
        counts = {at: 0 for at, _ in histories}  # of the chosen lines of each
        unknown = False  # the time of a line whose stamp is farther back
        for chunk in chunks(merged([(at, logs) for at, logs, _ in tails], complain)):
            unknown = unknown or any(moment == UNKNOWN for moment, _, _ in chunk)
            chosen = request.view.chosen(within(request, chunk))
            for _, at, _ in chosen:
                counts[at] += 1
            kept += chosen
            del kept[: -request.lines]
        # Of who has that many lines here, none that is farther back is among the last.
        if all(everything or (counts[at] >= request.lines and not unknown) for at, _, everything in tails):
            return kept
        window = window * GROWTH + CHUNK
    return []


def merged(histories: list[History], complain: Complain) -> Iterator[Entry]:
    """All entries of *histories*, in the order of their times."""
    return heapq.merge(*[entries_of(logs, at, complain) for at, logs in histories])


def within(request: Request, entries: Iterable[Entry]) -> Iterable[Entry]:
    """Those of *entries* that lie between the moments that are asked for."""
    if not request.since and not request.until:
        return entries
    since, until = request.since, request.until or NEVER
    return (entry for entry in entries if since <= entry[0] < until)
