"""svtop - watch the services of a tree

Usage: svtop [ -d SECONDS ] [ -n FRAMES ] [ dir ]

svtop shows all services of the folder that svscan watches in a table, which it draws again
every two seconds.  The folder is dir, or what svstat would take: $SVDIR; if that is not set,
$QMAILHOME/service; if that is not set either, the first of /service, /etc/service and
/var/qmail/service that there is.

    NAME            a log has a row of its own, NAME/log, only when it is not up as it should be
    STATE           up, down, waiting, ending, finishing, as svstat has it, and what differs from
                    the usual; `start in 5s`: it dies too often and is started less often;
                    unsupervised: no supervise is there; unknown: it cannot be read
    FOR             how long it has been up or down
    RESTARTS        how often it has been started besides the first time
    CPU%            processor time of ./run and all processes below it, in percent of one processor,
                    since the last frame; in the first frame, since each of them began
    MEMORY          their resident sets together, so what they share counts for each of them
    LAST LOG LINE   the end of current in log/main, or in another folder below log, without its
                    stamp; or why there is nothing to be seen, or whom it waits for

Colours say the same as the words: green is as it should be, yellow is on its way or was asked
for, red is not as it should be.  NO_COLOR in the environment turns them off.

Keys:
    q                   quit, as Ctrl-C does
    s                   sort by the next of name, state, time, restarts, CPU, memory
    arrows, PgUp, PgDn, Home, End
                        scroll
    /                   show only names that hold what is typed; Enter keeps that, Esc drops it

Options:
    -d SECONDS  from one frame to the next (default 2)
    -n FRAMES   end after so many

When descriptor 1 is no terminal, or one that cannot move its cursor (TERM is dumb or not set),
svtop prints the table plainly, once unless -n says otherwise, with log lines uncut.

Exit status:
    100  wrong usage
    111  there is no such folder, or the table cannot be written
    0    otherwise

Environment:
    SVDIR, QMAILHOME    where services are, without dir
    TERM, NO_COLOR      what the terminal can do

See also: svstat, svc, svscan
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.options import options
from supervise.tree.servicedir import scanned

DELAY = 2.0  # seconds
LEAST = 0.1


@command(b"svtop", b"[ -d SECONDS ] [ -n FRAMES ] [ dir ]")
def main(argv: Argv) -> int:
    delay, frames, folder = arguments(argv)
    from supervise.top import live  # and with it rich and psutil

    if is_screen():
        live.watch(folder, delay, frames)
    else:
        live.print_plainly(folder, delay, frames or 1)
    return 0


def arguments(argv: Argv) -> tuple[float, int | None, bytes]:
    """Seconds between frames, the number of frames if there is one, and the folder.

    Raises:
        Usage: they make no sense.
        Temporary: there is no folder.
    """
    found, rest = options(argv, b"d:n:", {})
    values = dict(found)
    if len(rest) > 1:
        raise Usage
    try:
        delay = float(values.get(b"d", DELAY))
        frames = int(values[b"n"]) if b"n" in values else None
    except ValueError:
        raise Usage from None
    if not LEAST <= delay <= 1e6 or (frames is not None and frames < 1):
        raise Usage
    folder = rest[0] if rest else scanned()
    if folder is None:
        raise Temporary(b"no folder of services here: name one, or set SVDIR")
    return delay, frames, folder


def is_screen() -> bool:
    """Whether descriptor 1 is a terminal whose cursor can be moved."""
    return os.isatty(1) and os.environb.get(b"TERM", b"dumb") not in (b"dumb", b"unknown", b"")
