"""A service directory under watch, and the processes that are started there.

This is the `World` of `supervise.tree.service`: the locks and FIFOs, ./run and ./finish, and the two
files that tell everybody how the service is.

./run is not our child when a supervise that was killed has started it: then a descriptor of the process
(pidfd) tells its end, and its exit code stays unknown.
"""

from __future__ import annotations

import errno
import os
import select
import signal

from supervise import stamp
from supervise.command import say
from supervise.errors import TEMPORARY, Temporary, reason
from supervise.files import lock, publish, slurp
from supervise.program import execute, launch, spawn
from supervise.tree import servicedir, settings, state
from supervise.tree.processtree import signal_all, tree_of
from supervise.tree.service import NO_PROCESS, NO_PROGRAM
from supervise.tree.servicedir import DOWN, UP, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.loop import Loop
    from supervise.room import Room
    from supervise.tree.processtree import ControlGroup, Orphans
    from supervise.tree.service import Service
    from supervise.tree.settings import Settings

NEEDS_ROOM = (errno.EAGAIN, errno.ENOMEM)
MOST = 64  # command bytes taken at a time

COMMANDS, NOTIFIED, ENDED, TREE = range(4)  # what a folder tells: see Folder


class Folder:
    """A service directory under watch, which becomes the working directory.

    It is left and entered again (`enter`) by a supervise that watches several.

    Args:
        path: the directory.
        name: what it is called in messages.
        loop: what waits for the folder's descriptors.
        room: for descriptors.
        fds: what ./run gets instead of descriptors 0, 1 and 2 of ours; they become the folder's.

    Attributes:
        tell: called with COMMANDS when there are `commands`; NOTIFIED when the service may have said that it is ready;
            ENDED when a ./run that is no child of ours has ended; TREE when the service's tree has begun or ended.

    Raises:
        Temporary: the text says what cannot be done.
    """

    def __init__(self, path: bytes, name: bytes, loop: Loop, room: Room, fds: Mapping[int, int] | None = None) -> None:
        self.name, self.loop, self.room, self.fds = name, loop, room, dict(fds or {})
        self.tell: Callable[[int], None] = lambda what: None
        self.notifications: int | None = None  # where the service says that it is ready
        self.notification_fd: int | None = None  # the descriptor that it has for that
        self.foreign: int | None = None  # a descriptor of ./run that is no child of ours
        self.identity: bytes | None = None  # of the process of ./run
        self.tree: ControlGroup | Orphans | None = None
        self.control: int | None = None
        self.held: list[int] = []  # descriptors that are ours as long as we watch
        try:
            self.place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.held.append(self.place)
            self.enter()
        except OSError as error:
            self.leave()
            raise Temporary(b"unable to chdir to " + name, error) from None

    def enter(self) -> None:
        """Make it the working directory."""
        os.fchdir(self.place)

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
            self.held.append(lock(servicedir.LOCK, wait=False))
        except OSError as error:
            raise Temporary(b"unable to acquire %s/%s" % (self.name, servicedir.LOCK), error) from None
        # Open for writing too, so that it never comes to its end.
        self.control = self.open_fifo(servicedir.CONTROL, os.O_RDWR)
        self.loop.hear(self.control, lambda: self.tell(COMMANDS))

    def say_ok(self) -> None:
        """Let svok and svstat see that we are there."""
        self.open_fifo(servicedir.OK, os.O_RDONLY)

    def open_fifo(self, fifo: bytes, mode: int) -> int:
        """A descriptor of *fifo*, which is made when it is missing."""
        try:
            os.mkfifo(fifo, 0o600)
        except OSError:
            pass  # it is there, or opening it says what is wrong
        try:
            self.held.append(os.open(fifo, mode | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise Temporary(b"unable to read %s/%s" % (self.name, fifo), error) from None
        return self.held[-1]

    def commands(self) -> bytes:
        """The command bytes that wait."""
        assert self.control is not None
        try:
            return os.read(self.control, MOST)
        except BlockingIOError:
            return b""

    # -- what a supervise before us has left -------------------------------------------------
    def find_running(self, service: Service) -> None:
        """Have *service* go on with the ./run of a supervise that was killed, if that is still there."""
        try:
            status = Status.parse(slurp(servicedir.STATUS) or b"")
            found = state.read(servicedir.STATE, status.pid)
        except (OSError, ValueError):
            return
        if not found:
            return
        if not status.pid:
            return
        self.identity = found.lines.get(b"process")
        try:
            self.foreign = os.pidfd_open(status.pid)
        except OSError:
            self.foreign = None
        # Asked when the descriptor is there: from here on it is the process that we have looked at, or none.
        if self.foreign is None or state.identity(status.pid) != self.identity:
            self.forget_process()
            return
        self.loop.hear(self.foreign, lambda: self.tell(ENDED))
        if b"notification" in found.lines and not found.ready:
            self.notification_fd = found.number(b"notification")
            self.listen(make=False)
        if b"tree" in found.lines:
            self.tree = self.plant(found.lines[b"tree"])
        service.take_over(status, found)

    # -- what a service does to the world --------------------------------------------------
    def settings(self) -> Settings:
        return settings.read(self.name)

    def start(self, settings: Settings) -> int:
        self.forget_process()
        self.notification_fd = settings.notification_fd
        try:
            if self.notification_fd is not None:
                self.listen(make=True)
            if settings.kill_tree:
                self.tree = self.tree or self.plant()
            with self.room:
                if settings.kill_tree:
                    pid = spawn(self.run, self.fds)
                else:
                    pid = launch([servicedir.RUN], self.fds, self.given())
        except OSError as error:
            if error.errno in NEEDS_ROOM:
                say(b"supervise: warning: unable to fork for %s, sleeping 60 seconds: %s" % (self.name, reason(error)))
                return NO_PROCESS
            self.cannot_run(error)
            return NO_PROGRAM
        self.identity = state.identity(pid)
        return pid

    def plant(self, folder: bytes = b"") -> ControlGroup | Orphans | None:
        """A place for the service's processes; in *folder*, if that is a control group of a supervise before us."""
        tree = tree_of(self.name, folder)
        if tree and tree.events is not None:
            self.loop.hear(tree.events, lambda: self.tell(TREE), select.EPOLLPRI)
        return tree

    def given(self) -> dict[int, bytes]:
        """The FIFO that ./run gets, by its descriptor."""
        return {} if self.notification_fd is None else {self.notification_fd: servicedir.NOTIFICATIONS}

    def run(self) -> int:
        """In the child: become ./run, as a member of the service's tree."""
        try:
            for fd, fifo in self.given().items():
                os.dup2(os.open(fifo, os.O_RDWR), fd)
            if self.tree:
                self.tree.enter()
            execute([servicedir.RUN])
        except OSError as error:
            self.cannot_run(error)
            return TEMPORARY

    def cannot_run(self, error: OSError) -> None:
        say(b"supervise: fatal: unable to start %s/run: %s" % (self.name, reason(error)))

    def finish(self, ended: tuple[int, int]) -> int:
        code, number = ended
        try:
            with self.room:
                return launch([servicedir.FINISH, b"%d" % code, b"%d" % number, self.name], self.fds)
        except OSError as error:
            say(b"supervise: warning: unable to start %s/finish: %s" % (self.name, reason(error)))
            return 0

    def kill(self, pid: int, number: int) -> None:
        try:
            if self.foreign is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(self.foreign, number)
        except OSError:
            pass  # it has become somebody whom we may not kill

    def sweep(self, number: int) -> bool:
        left = self.tree.members() if self.tree else []
        signal_all(left, number)
        return bool(left)

    def announce(self, service: Service) -> None:
        self.write(servicedir.STATE, servicedir.STATE_DRAFT, self.describe(service))
        self.write(servicedir.STATUS, servicedir.DRAFT, bytes(service.status))

    def write(self, name: bytes, draft: bytes, content: bytes) -> None:
        """Make *content* the file *name*."""
        try:
            publish(name, draft, content)
        except OSError as error:
            if error.filename2:
                what = b"rename %s/%s to %s" % (self.name, draft, os.path.basename(name))
            else:
                what = b"%s %s/%s" % (b"open" if error.filename else b"write", self.name, draft)
            say(b"supervise: warning: unable to %s: %s" % (what, reason(error)))

    def describe(self, service: Service) -> bytes:
        """The content of `supervise/state`."""
        status = service.status
        lines = {
            b"state": service.phase,
            b"pid": b"%d" % status.pid,
            b"since": stamp.label(status.since),
            b"starts": b"%d" % service.starts,
        }
        if status.pid and self.identity:
            lines[b"process"] = self.identity
        if status.pid and self.notification_fd is not None:
            lines[b"notification"] = b"%d" % self.notification_fd
        if service.ready is not None:
            lines[b"ready"] = stamp.label(service.ready)
        if service.ended is not None:
            lines[b"ended"] = b"%d %d" % service.ended
        if service.next_start is not None:
            lines[b"next"] = stamp.label(service.next_start)
        if self.tree and self.tree.folder:
            lines[b"tree"] = self.tree.folder
        return bytes(state.State(lines))

    # -- readiness -----------------------------------------------------------------------------
    def listen(self, make: bool) -> None:
        """Hear the service say that it is ready.

        The FIFO is in the folder and the service holds both of its ends, so what it says is there for
        the next supervise too, and no write of it fails.

        Args:
            make: make a new FIFO, which nobody of the last ./run can write to.
        """
        if make:
            try:
                os.unlink(servicedir.NOTIFICATIONS)
            except FileNotFoundError:
                pass
            os.mkfifo(servicedir.NOTIFICATIONS, 0o600)
        self.notifications = os.open(servicedir.NOTIFICATIONS, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.loop.hear(self.notifications, lambda: self.tell(NOTIFIED))

    def heard_ready(self) -> bool:
        """Whether the service has said that it is ready."""
        if self.notifications is None:
            return False
        try:
            text = os.read(self.notifications, 4096)
        except BlockingIOError:
            return False
        if text and b"\n" not in text:
            return False
        self.hear_no_more()  # it has said so; or it has closed the descriptor and never will
        return bool(text)

    def hear_no_more(self) -> None:
        if self.notifications is not None:
            self.loop.forget(self.notifications)
            os.close(self.notifications)
            self.notifications = None

    # -- ends --------------------------------------------------------------------------------
    def forget_process(self) -> None:
        """The process of ./run is no more."""
        self.identity = None
        self.hear_no_more()
        if self.foreign is not None:
            self.loop.forget(self.foreign)
            os.close(self.foreign)
            self.foreign = None

    def leave(self) -> None:
        """Watch it no longer; others may."""
        self.forget_process()
        if self.tree:
            if self.tree.events is not None:
                self.loop.forget(self.tree.events)
            self.tree.remove()
        if self.control is not None:
            self.loop.forget(self.control)
        for fd in [*self.held, *self.fds.values()]:
            os.close(fd)
