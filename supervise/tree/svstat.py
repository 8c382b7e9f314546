"""svstat - show the state of services

Usage: svstat [ --json ] [ dir ... ]

svstat prints one line about each service directory:

    dir: up (pid 1234) 86400 seconds
    dir: down 5 seconds, normally up, want up

that is, whether the service is up or down, for how long, and what differs from the usual:
`normally up` and `normally down` by the absence or presence of dir/down, `paused` after
svc -p, `want up` and `want down` while what was asked for has not happened yet.  Services
that ask for more of supervise have more behind that:

    ready 5 seconds             it has notification-fd, and has said that it is ready
    waiting for a b             the services a and b of its file `after` are not ready
    ending                      ./run has ended, and others of its processes have not
    finishing                   ./finish runs
    next start in 5 seconds     it dies too often and is started less often

Without dir, svstat shows all services of the folder that svscan watches, and their logs as
NAME/log, sorted.  The folder is $SVDIR; if that is not set, $QMAILHOME/service; if that is
not set either, the first of /service, /etc/service and /var/qmail/service that there is.

A service whose state cannot be read gets a line that says why.

With --json, svstat prints an array with an object on a line of its own for each service:

    name            NAME or NAME/log: the directory's name, and that of the service of a log
    dir             the directory as it was given, or the folder and the name
    state           "up", "down", "waiting", "ending", "finishing", as above; "unsupervised": no
                    supervise is there; null: that cannot be told
    pid             the process of ./run while it is up
    since           when the service went up or down: "2025-01-31T23:59:59.123456Z"
    seconds         how long ago that was
    normally        "up" or "down"
    wanted          "up", "down" or "once": nothing more when it ends
    paused          true or false
    ready           whether it is up and, if it has notification-fd, has said that it is ready
    ready_seconds   how long ago it said so
    waiting_for     names of the services that it waits for
    starts          how often it has been started
    restarts        how often besides the first time
    last_exit       how ./run ended the last time: exit code, or name of the signal: "SIGKILL"
    next_start      when it will be started if that has been put off, as `since`
    error           what the line without --json says instead of a state

All of them are always there, null for what is not known.  A supervise of another make tells
nothing about starts, last_exit and next_start.

Exit status:
    111  the current folder or the folder of services cannot be opened, or nobody takes the lines
    0    otherwise

Environment:
    SVDIR, QMAILHOME    where services are, without dir

Files:
    dir/down, dir/after, dir/supervise/{ok,status,state}

See also: supervise, svc, svok, svtop
"""

from __future__ import annotations

import os
import time

from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.tree.servicedir import DOWN, UP, Status, scanned, services
from supervise.tree.snapshot import see
from supervise.tree.state import ENDING, FINISHING, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.tree.snapshot import Seen, Snapshot

SECOND = 1_000_000_000  # nanoseconds
JSON = b"--json"


@command(b"svstat", b"[ --json ] [ dir ... ]")
def main(argv: Argv) -> int:
    as_json = argv[1:2] == [JSON]
    names = argv[1 + as_json :]
    folder = b"" if names else scanned()
    if folder:
        names = enter(folder)
    seen = look_at_all(names)
    if as_json:
        from supervise.tree.record import array

        write_all(1, array(seen, folder or b""))
    else:
        for name, what in seen:
            write_all(1, name + b": " + line(what, time.time_ns()) + b"\n")
    return 0


def enter(folder: bytes) -> list[bytes]:
    """Make *folder* the working directory; the services in it.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        os.chdir(folder)
        return services(b".")
    except OSError as error:
        raise Temporary(b"unable to read directory " + folder, error) from None


def look_at_all(folders: list[bytes]) -> Iterator[tuple[bytes, Seen]]:
    """Each of *folders* with what there is to see."""
    here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
    return ((folder, see(folder, here)) for folder in folders)


def line(seen: Seen, now: int) -> bytes:
    """What there is to see in words, at the moment *now*, in nanoseconds since 1970."""
    if isinstance(seen, Temporary):
        return seen.line
    return b", ".join([describe(seen.status, seen.normally_up, now), *remarks(seen, now)])


def describe(status: Status, normally_up: bool, now: int) -> bytes:
    """*status* in words, at the moment *now*, in nanoseconds since 1970."""
    seconds = seconds_from(status.since, now)
    if status.pid:
        words = [
            b"up (pid %d) %d seconds" % (status.pid, seconds),
            b"" if normally_up else b"normally down",
            b"paused" if status.paused else b"",
            b"want down" if status.want == DOWN else b"",
        ]
    else:
        words = [
            b"down %d seconds" % seconds,
            b"normally up" if normally_up else b"",
            b"want up" if status.want == UP else b"",
        ]
    return b", ".join(filter(None, words))


def remarks(snapshot: Snapshot, now: int) -> list[bytes]:
    """What else its supervise says, of services that ask for it."""
    state = snapshot.state
    if state is None:
        return [snapshot.damage] if snapshot.damage else []
    words = []
    if snapshot.ready and state.ready_since is not None:
        words.append(b"ready %d seconds" % seconds_from(state.ready_since, now))
    if state.word == WAITING:
        words.append(b" ".join([b"waiting for", *snapshot.waiting_for]) if snapshot.waiting_for else b"waiting")
    if state.word in (ENDING, FINISHING):
        words.append(state.word)
    if state.next is not None:
        words.append(b"next start in %d seconds" % max(0, -((now - state.next) // SECOND)))
    return words


def seconds_from(moment: int, now: int) -> int:
    """Whole seconds from *moment* to *now*, at least 0."""
    return max(0, now // SECOND - moment // SECOND)
