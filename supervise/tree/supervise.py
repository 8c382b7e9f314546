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

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.loop import Signals
from supervise.options import options
from supervise.tree.folder import Folder
from supervise.tree.service import Service
from supervise.tree.servicedir import UP
from supervise.tree.state import ENDING, KILLED, RUNNING, UNSEEN, WAITING


@command(b"supervise", b"dir")
def main(argv: Argv) -> int:
    found, rest = options(argv, b"w")
    if len(rest) != 1:
        raise Usage
    folder = Folder(rest[0])
    signals = Signals(signal.SIGCHLD)
    service = Service(folder, folder.wanted(), time.time_ns(), waiting=bool(found))
    folder.take_over()
    folder.find_running(service)
    folder.announce(service)
    folder.say_ok()
    begin(service)
    watch(service, folder, signals)
    folder.leave()
    return service.code


def begin(service: Service) -> None:
    """Start the service unless it is to stay down, has to wait, or is up already."""
    if service.status.want == UP and service.phase not in (WAITING, RUNNING):
        service.happen(b"u", time.monotonic(), time.time_ns())


def watch(service: Service, folder: Folder, signals: Signals) -> None:
    """Let *service* live until it is left."""
    folder.poll.register(signals, select.POLLIN)
    while not service.left:
        ready = folder.poll.poll(milliseconds(service.next))
        signals.arrived()
        now, since = time.monotonic(), time.time_ns()
        if folder.heard_ready():
            service.announce_ready(now, since)
        folder.hear_of_tree(ready)
        if folder.foreign_ended(ready):
            folder.forget_process()
            service.died(UNSEEN, now, since)
        for pid, status in ended():
            if pid == service.status.pid:
                folder.forget_process()
                service.died(how(status), now, since)
            elif pid == service.finisher:
                service.finished(how(status)[0], now, since)
        for code in folder.commands():
            if not service.left:
                service.happen(bytes([code]), now, since)
        if service.phase == ENDING and not folder.sweep(0):
            service.swept(now, since)
        if not service.left:
            service.tick(now, since)


def milliseconds(due: float | None) -> int | None:
    """How long to wait for the moment *due*, rounded up; None for ever."""
    return None if due is None else max(0, math.ceil((due - time.monotonic()) * 1000))


def ended() -> list[tuple[int, int]]:
    """The children that have ended since the last call, whoever started them, with their wait status."""
    found = []
    try:
        while (each := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(each)
    except ChildProcessError:
        pass
    return found


def how(status: int) -> tuple[int, int]:
    """The exit code and the signal that a wait status tells."""
    code = os.waitstatus_to_exitcode(status)
    return (code, 0) if code >= 0 else (KILLED, -code)
