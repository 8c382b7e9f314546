"""svscan - start and watch a folder of services

Usage: svscan [ dir ]

svscan runs `supervise NAME` for each folder NAME in dir, by default the current folder,
up to 1000 of them.  Names that start with a dot are skipped.  When NAME/log exists and NAME
has at most 255 bytes, svscan also runs `supervise log` in NAME, and joins the two by a pipe,
from descriptor 1 of the one to descriptor 0 of the other.  svscan holds both ends, so
nothing in the pipe is lost when one of the two is restarted.  A NAME/log that appears after
NAME has been seen is not noticed.

Every five seconds svscan looks at dir again, starts supervise for new folders, and starts
again what has ended.  A supervise that was killed it starts again without waiting for that,
at most once a second.  To take a service away, remove it from dir (NAME is usually a link)
and then stop it with `svc -dx`, its log too.

supervise is looked for in PATH.  When that is ours, it runs in a fork of svscan, and needs
about one and a half megabytes of its own.

svscan says on descriptor 2 what is wrong, and goes on.  It does not end by itself.  When it
is killed, each supervise goes on, and so do the services; a new svscan finds their locks
taken until those are gone.

Exit status:
    111  dir cannot be entered

Environment:
    PATH    where supervise is looked for

See also: supervise, svc, svstat
"""

from __future__ import annotations

import gc
import os
import select
import signal
import stat
import time

from supervise.command import Argv, command, say
from supervise.errors import TEMPORARY, Temporary, reason
from supervise.loop import Signals
from supervise.program import execute, find, follow, spawn
from supervise.title import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.command import Command

MOST = 1000  # services
LONGEST = 255  # bytes of the name of a service with a log
INTERVAL = 5.0  # seconds from one look at the folder to the next
PAUSE = 1.0  # seconds that must be between two looks, whatever happens
SUPERVISE = b"supervise"


@command(b"svscan", b"[ dir ]")
def main(argv: Argv) -> int:
    if len(argv) > 1:
        enter(argv[1])
    load(argv)
    signals = Signals(signal.SIGCHLD)
    tree = Tree()
    while True:
        tree.scan()
        wait(tree, signals)


def enter(folder: bytes) -> None:
    """Make *folder* the working directory."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + folder, error) from None


def load(argv: Argv) -> None:
    """Have in memory, once, what every supervise needs, in pages that they share with us."""
    set_title(argv)
    find(SUPERVISE)
    gc.collect()
    gc.freeze()


def wait(tree: Tree, signals: Signals) -> None:
    """Wait until it is time to look at the folder again."""
    poll = select.poll()
    poll.register(signals, select.POLLIN)
    start = time.monotonic()
    end = start + INTERVAL
    while (left := end - time.monotonic()) > 0:
        poll.poll(left * 1000)
        signals.arrived()
        if tree.reap():
            end = start + PAUSE


class Service:
    """What svscan knows of one service.

    `pid` and `log_pid` are its supervise and that of its log, 0 when they do not run.
    `pipe` has the reading and the writing end, or nothing when there is no log.
    """

    __slots__ = ("active", "log_pid", "pid", "pipe")

    def __init__(self, pipe: tuple[int, int] | None) -> None:
        self.pid = self.log_pid = 0
        self.pipe = pipe
        self.active = True  # it was there at the last look


class Tree:
    """The services that have been seen, by device and inode, so a new name makes no new service."""

    def __init__(self) -> None:
        self.services: dict[tuple[int, int], Service] = {}

    def scan(self) -> None:
        """Look at the folder, and start what is there and does not run."""
        self.reap()
        try:
            names = os.listdir(b".")
        except OSError as error:
            warn(b"unable to read directory", error)
            return
        for service in self.services.values():
            service.active = False
        for name in names:
            if not name.startswith(b"."):
                self.look_at(name)
        self.forget()

    def look_at(self, name: bytes) -> None:
        """Start what *name* stands for and does not run."""
        try:
            status = os.stat(name)
        except OSError as error:
            warn(b"unable to stat " + name, error)
            return
        if not stat.S_ISDIR(status.st_mode):
            return
        key = status.st_dev, status.st_ino
        service = self.services.get(key) or self.meet(key, name)
        if service is None:
            return
        service.active = True
        if not service.pid:
            service.pid = start(name, {1: service.pipe[1]} if service.pipe else {})
        if service.pipe and not service.log_pid:
            service.log_pid = start(name + b"/log", {0: service.pipe[0]})

    def meet(self, key: tuple[int, int], name: bytes) -> Service | None:
        """Take in a service that we have not seen; None when that cannot be done."""
        if len(self.services) >= MOST:
            say(b"svscan: warning: unable to start %s: running too many services" % name)
            return None
        try:
            has_log = len(name) <= LONGEST and exists(name + b"/log")
        except OSError as error:
            warn(b"unable to stat %s/log" % name, error)
            return None
        try:
            pipe = os.pipe2(os.O_CLOEXEC) if has_log else None
        except OSError as error:
            warn(b"unable to create pipe for " + name, error)
            return None
        self.services[key] = Service(pipe)
        return self.services[key]

    def forget(self) -> None:
        """Drop what is no longer in the folder and no longer runs."""
        for key, service in list(self.services.items()):
            if not service.active and not service.pid and not service.log_pid:
                for end in service.pipe or ():
                    os.close(end)
                del self.services[key]

    def reap(self) -> bool:
        """Take note of every supervise that has ended; whether one of them was killed."""
        killed = False
        while ended := wait_for_any():
            pid, status = ended
            for service in self.services.values():
                if pid == service.pid:
                    service.pid = 0
                elif pid == service.log_pid:
                    service.log_pid = 0
                else:
                    continue
                killed = killed or os.WIFSIGNALED(status)
        return killed


def wait_for_any() -> tuple[int, int] | None:
    """The pid and the wait status of a child that has ended, or None."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def exists(path: bytes) -> bool:
    """Whether there is a *path*; OSError when nobody can tell."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def start(place: bytes, fds: Mapping[int, int]) -> int:
    """Start a supervise for *place*, NAME or NAME/log; its pid, or 0 when no process can be made.

    Args:
        fds: the end of the pipe that it gets.
    """
    ours = find(SUPERVISE)  # here and not in the child, which would have to copy the pages that this touches
    try:
        return spawn(lambda: become_supervise(place, ours), fds)
    except OSError as error:
        warn(b"unable to fork for " + place, error)
        return 0


def become_supervise(place: bytes, ours: Command | None) -> int:
    """In the child: be *ours*, or become a foreign one, for *place*."""
    folder, name = os.path.split(place)
    argv = [SUPERVISE, name]
    try:
        os.chdir(folder or b".")
    except OSError as error:
        say(b"svscan: fatal: unable to switch to %s: %s" % (folder, reason(error)))
        return TEMPORARY
    if ours:
        set_title(argv)
        return follow(ours, argv)
    try:
        execute(argv)
    except OSError as error:
        say(b"svscan: fatal: unable to start supervise %s: %s" % (place, reason(error)))
        return TEMPORARY


def warn(what: bytes, error: OSError) -> None:
    """Say what went wrong; svscan goes on."""
    say(b"svscan: warning: %s: %s" % (what, reason(error)))
