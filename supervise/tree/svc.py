"""svc - control services

Usage: svc [ -udopchaitkx ] dir ...

svc hands the commands that its options stand for, each once, in the order given, to the
supervise of each service directory.

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

Exit status:
    100  wrong usage; nothing has been done
    111  the current folder cannot be opened
    0    otherwise; a service that cannot be controlled is named on descriptor 2

See also: supervise, svstat
"""

import os
import signal

from supervise.command import Argv, command, say
from supervise.errors import PERMANENT, Temporary, Usage
from supervise.fd import write_all
from supervise.options import options
from supervise.tree.servicedir import CONTROL, NOT_RUNNING, open_writer

OPTIONS = b"svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill"


@command(b"svc", b"[ -udopchaitkx ] dir ...")
def main(argv: Argv) -> int:
    try:
        found, folders = options(argv, b"udopchaitkx")
    except Usage:
        say(OPTIONS)
        return PERMANENT
    commands = b"".join(dict(found))  # a dictionary keeps the first of each, in order
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a supervise may end while we write
    here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
    for folder in folders:
        try:
            control(folder, commands)
        except Temporary as trouble:
            say(b"svc: warning: " + trouble.line)
        os.fchdir(here)
    return 0


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
