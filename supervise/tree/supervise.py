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

from __future__ import annotations

import math
import os
import select
import signal
import time

from supervise.command import Argv, command, say
from supervise.errors import TEMPORARY, Temporary, Usage, reason
from supervise.files import lock, publish
from supervise.loop import Signals
from supervise.program import execute, spawn
from supervise.tree import servicedir
from supervise.tree.service import DIED, Service
from supervise.tree.servicedir import DOWN, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.tree.servicedir import Status

MOST = 64  # command bytes taken at a time


@command(b"supervise", b"dir")
def main(argv: Argv) -> int:
    if len(argv) != 2:
        raise Usage
    folder = Folder(argv[1])
    signals = Signals(signal.SIGCHLD)
    service = Service(folder, folder.wanted(), time.time_ns())
    folder.take_over()
    folder.announce(service.status)
    folder.say_ok()
    if service.status.want == UP:
        service.happen(b"u", time.monotonic(), time.time_ns())
    watch(service, folder.control, signals)
    return 0


def watch(service: Service, control: int, signals: Signals) -> None:
    """Let *service* live until it is left.

    Args:
        control: the descriptor that its commands come from; reading never blocks.
    """
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(signals, select.POLLIN)
    while not service.left:
        poll.poll(milliseconds(service.due))
        signals.arrived()
        now, since = time.monotonic(), time.time_ns()
        if service.status.pid in ended():
            service.happen(DIED, now, since)
        for code in commands(control):
            if not service.left:
                service.happen(bytes([code]), now, since)
        service.tick(now, since)


def milliseconds(due: float | None) -> int | None:
    """How long to wait for the moment *due*, rounded up; None for ever."""
    return None if due is None else max(0, math.ceil((due - time.monotonic()) * 1000))


def ended() -> list[int]:
    """The children that have ended since the last call, whoever started them."""
    pids = []
    try:
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            pids.append(pid)
    except ChildProcessError:
        pass
    return pids


def commands(control: int) -> bytes:
    """The command bytes that wait in *control*."""
    try:
        return os.read(control, MOST)
    except BlockingIOError:
        return b""


class Folder:
    """A service directory that we stand in; the `World` of its service.

    Raises:
        Temporary: the text says what cannot be done.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        try:
            os.chdir(name)
        except OSError as error:
            raise Temporary(b"unable to chdir to " + name, error) from None

    def wanted(self) -> bytes:
        """DOWN if a file says so, else UP."""
        try:
            os.stat(servicedir.NORMALLY_DOWN)
        except FileNotFoundError:
            return UP
        except OSError as error:
            raise Temporary(b"unable to stat %s/down" % self.name, error) from None
        return DOWN

    def take_over(self) -> None:
        """Become the one supervise of this folder, and listen for commands."""
        try:
            os.mkdir(servicedir.FOLDER, 0o700)
        except OSError:
            pass  # it is there, or taking the lock says what is wrong
        try:
            self.lock = lock(servicedir.LOCK, wait=False)
        except OSError as error:
            raise Temporary(b"unable to acquire %s/%s" % (self.name, servicedir.LOCK), error) from None
        self.control = self.open_fifo(servicedir.CONTROL)
        try:  # with a writer of our own, the FIFO never comes to its end
            self.writer = servicedir.open_writer(servicedir.CONTROL)
        except OSError as error:
            raise Temporary(b"unable to write %s/%s" % (self.name, servicedir.CONTROL), error) from None

    def say_ok(self) -> None:
        """Let svok and svstat see that we are there."""
        self.ok = self.open_fifo(servicedir.OK)

    def open_fifo(self, fifo: bytes) -> int:
        """The reading end of *fifo*, which is made when it is missing."""
        try:
            os.mkfifo(fifo, 0o600)
        except OSError:
            pass  # it is there, or opening it says what is wrong
        try:
            return os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Temporary(b"unable to read %s/%s" % (self.name, fifo), error) from None

    # -- what a service does to the world --------------------------------------------------
    def start(self) -> int:
        try:
            return spawn(self.run)
        except OSError as error:
            say(b"supervise: warning: unable to fork for %s, sleeping 60 seconds: %s" % (self.name, reason(error)))
            return 0

    def run(self) -> int:
        """In the child: become ./run."""
        try:
            execute([servicedir.RUN])
        except OSError as error:
            say(b"supervise: fatal: unable to start %s/run: %s" % (self.name, reason(error)))
            return TEMPORARY

    def kill(self, pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except OSError:
            pass  # it has become somebody whom we may not kill

    def announce(self, status: Status) -> None:
        try:
            publish(servicedir.STATUS, servicedir.DRAFT, bytes(status))
        except OSError as error:
            if error.filename2:
                what = b"rename %s/%s to status" % (self.name, servicedir.DRAFT)
            else:
                what = b"%s %s/%s" % (b"open" if error.filename else b"write", self.name, servicedir.DRAFT)
            say(b"supervise: warning: unable to %s: %s" % (what, reason(error)))
