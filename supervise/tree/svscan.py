"""svscan - start and watch a folder of services

Usage: svscan [ -s ] [ dir ]

svscan runs `supervise NAME` for each folder NAME in dir, by default the current folder.
Names that start with a dot are skipped.  When NAME/log exists and NAME has at most 255 bytes,
svscan also runs `supervise log` in NAME, and joins the two by a pipe, from descriptor 1 of the
one to descriptor 0 of the other.  svscan holds both ends, so nothing in the pipe is lost when
one of the two is restarted.  A NAME/log that appears after NAME has been seen is not noticed.
The sticky bit of NAME means nothing.

A link that is made in dir, or a folder that is renamed into it, is noticed at once.  Every five
seconds svscan looks at all of dir, starts supervise for folders that were made there, and starts
again what has ended.  A supervise that was killed it starts again without waiting for that, at
most once a second.  To take a service away, remove it from dir (NAME is usually a link) and then
stop it with `svc -dx`, its log too.

supervise is looked for in PATH.  When that is ours, one process is the supervise of all services;
`ps` shows it with their names.  When it has no descriptors left for more, it gets another one
beside it.  When it is killed, the services go on, and the next one takes them over.  Any other
supervise is run once for each service.

svscan says on descriptor 2 what is wrong, and goes on.  When it is killed, supervise goes on,
and so do the services; a new svscan finds their locks taken until those are gone.
When both are killed, a new svscan goes on with the services, and starts none twice.  One that
was being started at that moment is known by its working directory: it is found unless it has
changed to another before the new svscan looks.

Order:
    NAME/after holds names of services, in lines or separated by blanks; `#` begins a remark.  NAME
    is started when all of them are ready: they are up, and those with a file notification-fd have
    said that they are ready (see supervise).  A name that is not in dir is waited for.  Services
    that wait for each other do not wait.  `svc -u NAME` starts a service that waits, `svc -d NAME`
    calls its start off.  Order is for the start only: a service stays up when one that it has
    waited for goes down.

As process 1 and with -s:
    TERM, INT  bring all services down and end: first those that no other service has waited for,
               then those that they have waited for; each log last, when it has read all there is
    HUP        look at dir now
    Process 1 takes note of the end of every process that has lost its parent.

A service with a file NAME/essential that ends by itself, not by `svc -d`, takes all others with
it: svscan brings them down and ends with its exit code, or 128 and the signal that ended it.

Options:
    -s   TERM, INT and HUP as above; without it, they end svscan and nothing else

Exit status:
    111  dir cannot be entered
    100  wrong usage
    0    all is down, after TERM or INT
    otherwise that of an essential service

Environment:
    PATH    where supervise is looked for

See also: supervise, svc, svstat, svtop
"""

from __future__ import annotations

import gc
import os
import signal
import time

from supervise.command import Argv, command, say
from supervise.errors import Temporary, reason
from supervise.loop import Loop, Signals
from supervise.options import options
from supervise.program import find
from supervise.room import Room
from supervise.title import set_title
from supervise.tree.scan import SUPERVISE, Tree
from supervise.tree.shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.inotify import Inotify

INTERVAL = 5.0  # seconds from one look at the folder to the next
PAUSE = 1.0  # seconds that must be between two looks, whatever happens
STEP = 0.1  # seconds from one look at what goes down to the next
STOP = (signal.SIGTERM, signal.SIGINT)
MADE_FOLDER = 0x40000100  # in an event of inotify: a folder was made (IN_CREATE, IN_ISDIR)


@command(b"svscan", b"[ -s ] [ dir ]")
def main(argv: Argv) -> int:
    found, rest = options(argv, b"s", {})
    if rest:
        enter(rest[0])
    load(argv)
    scanner = Scanner(stopping=bool(found) or os.getpid() == 1)
    code = scanner.watch()
    scanner.shut_down()
    return code


def enter(folder: bytes) -> None:
    """Make *folder* the working directory."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + folder, error) from None


def load(argv: Argv) -> None:
    """Have in memory, once, what the supervisor needs, in pages that it shares with us."""
    set_title(argv)
    find(SUPERVISE)
    gc.collect()
    gc.freeze()


class Scanner:
    """svscan at work.

    Args:
        stopping: whether TERM and INT bring everything down, and HUP means to look again.
    """

    def __init__(self, stopping: bool) -> None:
        self.loop = Loop()
        self.signals = Signals(signal.SIGCHLD, *((*STOP, signal.SIGHUP) if stopping else ()))
        self.loop.hear(self.signals.fileno(), self.hear_signals)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # when nobody is left to complain to
        self.tree = Tree(self.loop, Room(wide=True))
        self.folder: Inotify | None = None
        self.looked = False
        self.stopped = False
        self.next_look = self.last_look = 0.0

    def watch(self) -> int:
        """Keep what is in the folder running until we are to stop, or an essential service has ended; the exit code."""
        while not self.stopped and self.tree.essential is None:
            if self.next_look <= time.monotonic():
                self.look()
            self.loop.wait(self.next_look - time.monotonic())
            if self.tree.heard:
                self.tree.release()
        return self.tree.essential or 0

    def shut_down(self) -> None:
        """Bring everything down."""
        if self.folder:
            self.loop.forget(self.folder.fileno())
        shutdown = Shutdown(self.tree)
        while not shutdown.step():
            self.loop.wait(STEP)

    def look(self) -> None:
        """Look at the folder."""
        self.last_look = time.monotonic()
        self.next_look = self.last_look + INTERVAL
        self.tree.scan()
        if not self.looked:
            self.looked = True
            self.listen()
            self.tree.scan()  # for what has come before we listened

    def hear_signals(self) -> None:
        """Do what the signals that have arrived ask for."""
        arrived = self.signals.arrived()
        if self.tree.reap():
            self.next_look = min(self.next_look, self.last_look + PAUSE)
        if signal.SIGHUP in arrived:
            self.next_look = 0.0
        self.stopped = self.stopped or not arrived.isdisjoint(STOP)

    # -- what happens in the folder ------------------------------------------------------------
    def listen(self) -> None:
        """Hear of new services at once, where the kernel has room for that."""
        from supervise import inotify  # 8 ms, while the first services start

        try:
            folder = inotify.Inotify()
            try:
                folder.add(b".", inotify.CREATE | inotify.MOVED_TO | inotify.ONLY_FOLDER)
            except OSError:
                folder.close()
                raise
        except OSError as error:
            say(b"svscan: warning: unable to watch the directory, so looking every 5 seconds: " + reason(error))
            return
        self.folder = folder
        self.loop.hear(folder.fileno(), self.hear_folder)

    def hear_folder(self) -> None:
        """Start the services that have come.

        A link, or a folder that was renamed, is complete when it appears.  A folder that is being made is not: it
        has to wait for the next look.
        """
        assert self.folder
        for _, mask, name in self.folder.events():
            if not name:  # there were more events than the kernel keeps
                self.next_look = 0.0
            elif mask & MADE_FOLDER != MADE_FOLDER and not name.startswith(b"."):
                self.tree.add(name)
