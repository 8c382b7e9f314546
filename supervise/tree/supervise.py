"""supervise - start a service, watch it, and start it again when it ends

Usage: supervise dir

supervise switches to the folder dir and runs ./run there, unless a file named down
forbids that.  When ./run ends, supervise runs it again, at most once a second.  svc
tells it to do otherwise, svstat shows how the service is, svok whether supervise runs.

./run gets descriptors 0, 1 and 2 of supervise, its environment and default signals.
When ./run cannot be started, that is said on descriptor 2 and tried again a second later.

supervise ends when `svc -x` has been given and the service is down, and then leaves its
files in dir/supervise; the next supervise takes them over.  A second supervise on the same
dir finds dir/supervise/lock locked, and exits.

A supervise that is killed leaves ./run running, without anybody who watches it.  The lock
does not outlive supervise, for ./run does not hold it: the next supervise knows nothing of
the old process and starts a second one beside it, as the original does.  Stop the old one
by hand before the next one starts: `od -An -tu4 -j12 -N4 dir/supervise/status` is its number.

Exit status:
    111  dir is already supervised, or its files cannot be made or opened
    100  wrong usage
    0    after svc -x

Files:
    dir/run, dir/down, dir/supervise/{lock,ok,control,status}

See also: svscan, svc, svstat, svok
"""

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.options import options
from supervise.room import Room
from supervise.tree.watch import Watch


@command(b"supervise", b"dir")
def main(argv: Argv) -> int:
    found, rest = options(argv, b"w")
    if len(rest) != 1:
        raise Usage
    watch = Watch(Room(wide=False))
    watch.take(0, rest[0], rest[0], None, waiting=bool(found))
    while watch.watched:
        watch.turn()
    return watch.news[-1][2]
