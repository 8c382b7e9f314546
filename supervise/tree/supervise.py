"""supervise - start a service, watch it, and start it again when it ends

Usage: supervise [ -w ] dir

supervise switches to the folder dir and runs ./run there, unless a file named down
forbids that.  When ./run ends, supervise runs it again, at most once a second.  svc
tells it to do otherwise, svstat shows how the service is, svok whether supervise runs.

./run gets descriptors 0, 1 and 2 of supervise, its environment and default signals.
When ./run cannot be started, that is said on descriptor 2 and tried again a second later.

supervise ends when `svc -x` has been given and the service is down, and then leaves its
files in dir/supervise; the next supervise takes them over.  A second supervise on the same
dir finds dir/supervise/lock locked, and exits.

When supervise is killed, ./run goes on.  The next supervise goes on with it, and does not
start a second one beside it: dir/supervise/state tells it which process that is.  How such
a ./run ends, it cannot know; ./finish is told -1.

When the disk is full, or the files cannot be written for another reason, that is said on
descriptor 2 and tried again every second until it can be done.

More files that dir may hold; without them, all is as above.  They are read when they are
needed, so a change holds from the next time on.  What makes no sense is named on descriptor 2.

    finish            a program: `./finish CODE SIGNAL NAME` runs after each end of ./run and before
                      its next start.  CODE is the exit code, 256 after a signal, -1 if unknown; SIGNAL
                      is the signal or 0.  When ./finish exits 125, the service stays down.
    timeout-finish    milliseconds that ./finish has before it is killed; 0: as long as it likes (5000)
    timeout-kill      milliseconds from `svc -d` to KILL for a ./run that does not end; 0: never (0)
    notification-fd   the number of a descriptor, 3 or more.  ./run finds it open, and writes a line
                      to it when it is ready to serve.  svstat shows that, `svc -wU` waits for it, and
                      so do services that are to start `after` this one (see svscan).
    max-death-tally   a number N.  After N ends in a row, each within a minute of its start, the next
                      start is put off for 2 seconds, then 4, 8, and so on up to 60.  `svc -u` starts
                      it at once.  The next supervise goes on counting.  0: never (0)
    kill-tree         when it is there: what ./run leaves behind gets TERM, and KILL five seconds, or
                      timeout-kill, later; only when nothing is left the service is down, or started
                      again.  Processes are found by a control group where we may make one (cgroup
                      version 2), else by their having lost their parent.  Then a supervise that was
                      killed has left a list of those, at most five seconds old and 500 long, and the
                      next one holds on to them and to what is below ./run.  What has lost its parent
                      in these five seconds, or is started by ./run afterwards and leaves it before
                      svc speaks to the service or five seconds are over, is not found.
    essential         when it is there, and ./run ends while it is not wanted down: supervise ends
                      with the exit code of ./run, or 128 and the signal; svscan then ends too
    after             see svscan

Options:
    -w   do not start the service until the byte `w` comes to dir/supervise/control, or `svc -u`;
         svscan does that for services that wait for others

Exit status:
    111  dir is already supervised, or its files cannot be made or opened
    100  wrong usage
    0    after svc -x
    otherwise that of an essential service

Files:
    dir/run, dir/down, dir/supervise/{lock,ok,control,status,state,notifications}

See also: svscan, svc, svstat, svok
"""

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.options import options
from supervise.room import Room
from supervise.tree.watch import Watch


@command(b"supervise", b"dir")
def main(argv: Argv) -> int:
    found, rest = options(argv, b"w", {})
    if len(rest) != 1:
        raise Usage
    watch = Watch(Room(wide=False), alone=True)
    watch.take(0, rest[0], rest[0], None, waiting=bool(found))
    while watch.watched:
        watch.turn()
    return watch.news[-1][2]
