"""svstat - show the state of services

Usage: svstat dir ...

svstat prints one line about each service directory:

    dir: up (pid 1234) 86400 seconds
    dir: down 5 seconds, normally up, want up

that is, whether the service is up or down, for how long, and what differs from the usual:
`normally up` and `normally down` by the absence or presence of dir/down, `paused` after
svc -p, `want up` and `want down` while what was asked for has not happened yet.

A service whose state cannot be read gets a line that says why.

Exit status:
    111  the current folder cannot be opened, or nobody takes the lines
    0    otherwise

Files:
    dir/down, dir/supervise/{ok,status}

See also: supervise, svc, svok
"""

import os
import time

from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.tree.servicedir import DOWN, NORMALLY_DOWN, NOT_RUNNING, OK, SIZE, STATUS, UP, Status, open_writer

SECOND = 1_000_000_000  # nanoseconds


@command(b"svstat", b"dir ...")
def main(argv: Argv) -> int:
    here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
    for folder in argv[1:]:
        try:
            state = look_at(folder)
        except Temporary as trouble:
            state = trouble.line
        write_all(1, folder + b": " + state + b"\n")
        os.fchdir(here)
    return 0


def look_at(folder: bytes) -> bytes:
    """The state of the service in *folder*, which becomes the working directory.

    Raises:
        Temporary: it cannot be read; the text says why.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir", error) from None
    normally_up = not is_there(NORMALLY_DOWN)
    try:
        ok = open_writer(OK)
    except OSError as error:
        raise Temporary(b"unable to open " + OK, error) from None
    if ok is None:
        raise Temporary(NOT_RUNNING)
    os.close(ok)
    return describe(read(STATUS), normally_up, time.time_ns())


def is_there(file: bytes) -> bool:
    """Whether there is a *file*.

    Raises:
        Temporary: nobody can tell.
    """
    try:
        os.stat(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Temporary(b"unable to stat " + file, error) from None
    return True


def read(file: bytes) -> Status:
    """The status in *file*.

    Raises:
        Temporary: it cannot be read or is none.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Temporary(b"unable to open " + file, error) from None
    try:
        return Status.parse(os.read(fd, SIZE))
    except OSError as error:
        raise Temporary(b"unable to read " + file, error) from None
    except ValueError:
        raise Temporary(b"unable to read %s: bad format" % file) from None
    finally:
        os.close(fd)


def describe(status: Status, normally_up: bool, now: int) -> bytes:
    """*status* in words, at the moment *now*, in nanoseconds since 1970."""
    seconds = max(0, now // SECOND - status.since // SECOND)
    if status.pid:
        remarks = [
            b"up (pid %d) %d seconds" % (status.pid, seconds),
            b"" if normally_up else b"normally down",
            b"paused" if status.paused else b"",
            b"want down" if status.want == DOWN else b"",
        ]
    else:
        remarks = [
            b"down %d seconds" % seconds,
            b"normally up" if normally_up else b"",
            b"want up" if status.want == UP else b"",
        ]
    return b", ".join(filter(None, remarks))
