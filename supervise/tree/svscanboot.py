"""svscanboot - start svscan on the machine's services, as init does

Usage: svscanboot [ dir ]

svscanboot runs

    svscan dir 2>&1 | readproctitle service errors: ........

with 400 dots, so that `ps` shows what services without a log have said last.  dir is /service,
or /etc/service where there is no /service.  What an earlier svscan has left running in dir is
first told to end, by `svc -dx dir/* dir/*/log`.

Everything starts from a clean state: descriptors 0, 1 and 2 are /dev/null, no others are open,
and the environment has nothing but

    PATH=/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin

with the folder of svscanboot itself before these when it is not among them.  svc, svscan and
readproctitle are looked for there.  When they are ours, they run in forks of svscanboot.

svscanboot is meant to be kept alive by init.  It ends when svscan has ended, and every service
that could complain; a signal ends svscanboot alone.

Exit status:
    111  no process can be started
    otherwise that of readproctitle, 128 more than the number of the signal that killed it

See also: svscan, readproctitle, svc
"""

import os
import signal
import sys

from supervise.command import Argv, command
from supervise.program import spawn
from supervise.title import set_title

PATH = b"/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"
PLACES = (b"/service", b"/etc/service")
READPROCTITLE = (b"readproctitle", b"service", b"errors:", b"." * 400)


@command(b"svscanboot", b"[ dir ]")
def main(argv: Argv) -> int:
    folder = argv[1] if len(argv) > 1 else usual_place()
    clean(argv)
    end_leftovers(folder)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    title = spawn([*READPROCTITLE], {0: reading})
    svscan = spawn([b"svscan", folder], {1: writing, 2: writing})
    os.close(reading)
    os.close(writing)
    return code_of(wait_for({title, svscan})[title])


def usual_place() -> bytes:
    """The first of the usual folders of services that is there, or else the first."""
    return next((place for place in PLACES if os.path.isdir(place)), PLACES[0])


def clean(argv: Argv) -> None:
    """Forget what we were started with: descriptors, environment, an ignored SIGCHLD."""
    set_title(argv)  # while the environment is as we got it: that is how setproctitle finds our arguments
    os.environb.clear()
    os.environb[b"PATH"] = path()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def path() -> bytes:
    """PATH, with the folder of our commands in front when it is not among the usual ones."""
    ours = os.path.dirname(os.path.realpath(os.fsencode(sys.argv[0])))
    return PATH if ours in PATH.split(b":") else ours + b":" + PATH


def end_leftovers(folder: bytes) -> None:
    """Tell the services in *folder*, and each supervise, to end; most often there are none."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith(b"."))
    except OSError:  # svscan will say it
        return
    services = [os.path.join(folder, name) for name in names]
    logs = [service + b"/log" for service in services if os.path.exists(service + b"/log")]
    wait_for({spawn([b"svc", b"-dx", *services, *logs])})


def wait_for(children: set[int]) -> dict[int, int]:
    """Wait until all *children* have ended; the wait status of each, by pid."""
    ended: dict[int, int] = {}
    while not children <= ended.keys():
        pid, status = os.waitpid(-1, 0)
        ended[pid] = status
    return ended


def code_of(status: int) -> int:
    """A wait status as the exit code of a shell."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
