"""svc - control services

Usage: svc [ -udopchaitkx ] [ -w STATE ] [ -T MILLISECONDS ] dir ...

svc hands the commands that its options stand for, each once, in the order given, to the
supervise of each service directory.  With -w it then waits until all these services are in
a state.

Options:
    -u   up: start the service; when it ends, start it again
    -d   down: send TERM, then CONT; when it ends, do not start it again
    -o   once: start the service; when it ends, do not start it again
    -p   pause: send STOP
    -c   continue: send CONT
    -h   send HUP
    -a   send ALRM
    -i   send INT
    -t   send TERM
    -k   send KILL
    -x   exit: supervise ends when the service is down
    -wu  wait until ./run is running
    -wU  wait until ./run is running and ready.  A service with the file notification-fd is
         ready when it has said so, any other when it is up
    -wd  wait until ./run is not running
    -wD  wait until ./run is not running, nothing that it started is left to be ended, and
         ./finish is over
    -wr  wait until ./run has been started after svc, and is running
    -wR  wait until ./run has been started after svc, and is running and ready
    -T N with -w: wait N milliseconds at most; 0, the default, sets no limit

Waiting takes no time of the processor.  A supervise that is not there, or dies meanwhile,
has six seconds to come back, which is what svscan needs at most.  Once it is gone for good,
a service can still be found down.

Exit status:
    100  wrong usage, -w without a dir too; nothing has been done
    99   the services have not got there in time; each that has not is named on descriptor 2
         with the state that it is in
    111  the current folder cannot be opened; or, with -w, a service cannot get there, for its
         supervise is gone or its folder cannot be read
    0    otherwise; a service that cannot be controlled is named on descriptor 2

See also: supervise, svstat
"""

from __future__ import annotations

import os
import signal

from supervise.command import Argv, command, say
from supervise.errors import PERMANENT, Temporary, Usage
from supervise.fd import write_all
from supervise.options import is_option, options
from supervise.tree.servicedir import CONTROL, NOT_RUNNING, open_writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.tree.waiting import Waiting

OPTIONS = b"svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill"
WAITING = (
    b"svc waiting: "
    b"wu up, wU up and ready, wd down, wD down for good, wr up again, wR up again and ready, T milliseconds"
)
STATES = b"uUdDrR"  # to wait for


@command(b"svc", b"[ -udopchaitkx ] [ -w STATE ] [ -T MILLISECONDS ] dir ...")
def main(argv: Argv) -> int:
    try:
        found, folders = options(argv, b"udopchaitkxw:T:")
        state, limit = waiting_for(found, folders)
    except Usage:
        say(OPTIONS)
        if any(is_option(word) and {*b"wT"} & {*word} for word in argv):
            say(WAITING)
        return PERMANENT
    commands = b"".join(letter for letter in dict(found) if letter not in b"wT")
    services = watch(folders, state) if state else None
    if commands or not services:
        tell(folders, commands)
    return services.wait(limit) if services else 0


def waiting_for(found: list[tuple[bytes, bytes]], folders: list[bytes]) -> tuple[bytes, float | None]:
    """The state to wait for, if any, and the limit in seconds, if any.

    Raises:
        Usage: a value makes no sense, which has been said; or there is nothing to wait for.
    """
    values = dict(found)
    state, limit = values.get(b"w", b""), values.get(b"T", b"0")
    if b"w" in values and (len(state) != 1 or state not in STATES):
        say(b"svc: illegal state to wait for -- " + state)
        raise Usage
    if not limit.isdigit() or len(limit) > 9:
        say(b"svc: illegal number of milliseconds -- " + limit)
        raise Usage
    if state and not folders:
        raise Usage
    return state, int(limit) / 1000 or None


def watch(folders: list[bytes], state: bytes) -> Waiting:
    """Have an eye on the services from now on."""
    from supervise.tree.waiting import GOALS, Waiting

    return Waiting(folders, GOALS[state])


def tell(folders: list[bytes], commands: bytes) -> None:
    """Write *commands* to the supervise of each of *folders*."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a supervise may end while we write
    here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
    for folder in folders:
        try:
            control(folder, commands)
        except Temporary as trouble:
            say(b"svc: warning: " + trouble.line)
        os.fchdir(here)


def control(folder: bytes, commands: bytes) -> None:
    """Write *commands* to the supervise of *folder*, which becomes the working directory.

    Raises:
        Temporary: that cannot be done.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + folder, error) from None
    try:
        fd = open_writer(CONTROL)
    except OSError as error:
        raise Temporary(b"unable to control " + folder, error) from None
    if fd is None:
        raise Temporary(b"unable to control %s: %s" % (folder, NOT_RUNNING))
    try:
        os.set_blocking(fd, True)
        write_all(fd, commands)
    except OSError as error:
        raise Temporary(b"error writing commands to " + folder, error) from None
    finally:
        os.close(fd)
