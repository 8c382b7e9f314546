"""A service directory under watch, and the processes that are started there.

This is the `World` of `supervise.tree.service`: the locks and FIFOs, ./run and ./finish, and the two
files that tell everybody how the service is.

The next supervise always finds what is there.  Either svscan has a mark of what is being started (`mark`).  Or a
process is started in two steps: the child waits until `state` has its number on disk; if we are killed before that,
it ends and has done nothing.  What the next one finds is no child of its own: a descriptor of the process (pidfd)
tells its end, and its exit code stays unknown.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import stat

from supervise.command import say
from supervise.errors import TEMPORARY, Temporary, reason
from supervise.files import lock, slurp
from supervise.program import Held, execute, launch
from supervise.tree import servicedir, settings, state
from supervise.tree.announcement import Announcement, describe
from supervise.tree.mark import begin_in, left_in_lock
from supervise.tree.processtree import tree_of
from supervise.tree.readiness import is_said, new_file
from supervise.tree.servicedir import DOWN, UP
from supervise.tree.world import NO_PROCESS, NO_PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.command import Argv
    from supervise.tree.mark import Orphan
    from supervise.tree.processtree import ControlGroup, Orphans
    from supervise.tree.service import Service
    from supervise.tree.settings import Settings
    from supervise.tree.state import State
    from supervise.tree.surroundings import Surroundings

NEEDS_ROOM = (errno.EAGAIN, errno.ENOMEM)
MOST = 64  # command bytes taken at a time

COMMANDS, NOTIFIED, ENDED, TREE = range(4)  # what a folder tells: see Folder


class Folder:
    """A service directory under watch, which becomes the working directory.

    It is left and entered again (`enter`) by a supervise that watches several.

    Args:
        path: the directory.
        name: what it is called in messages.
        around: what it shares with others.
        key: its number there.
        fds: what ./run gets instead of descriptors 0, 1 and 2 of ours; they become the folder's.

    Attributes:
        tell: called with COMMANDS when there are `commands`; NOTIFIED when the service may have said that it is ready;
            ENDED when a process that is no child of ours has ended; TREE when the service's tree has begun or ended.

    Raises:
        Temporary: the text says what cannot be done.
    """

    def __init__(
        self, path: bytes, name: bytes, around: Surroundings, key: int, fds: Mapping[int, int] | None = None
    ) -> None:
        self.name, self.around, self.key, self.fds = name, around, key, dict(fds or {})
        self.loop = around.loop
        self.tell: Callable[[int], None] = lambda what: None
        self.notification_fd: int | None = None  # that on which ./run says that it is ready, if we can hear it
        self.ear: int | None = None  # the number by which we hear it
        self.child: Held | None = None  # ./run or ./finish, until it is let go
        self.foreign: int | None = None  # a descriptor of ./run or ./finish that is no child of ours
        self.identity: bytes | None = None  # of that process
        self.tree: ControlGroup | Orphans | None = None
        self.announcement = Announcement(name)
        self.lock = -1
        self.starting = True  # ./run may be there and not announced, and the lock say so
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
            self.lock = lock(servicedir.LOCK, wait=False)
            self.held.append(self.lock)
        except OSError as error:
            raise Temporary(b"unable to acquire %s/%s" % (self.name, servicedir.LOCK), error) from None
        # Open for writing too, so that it never comes to its end.
        control = self.open_fifo(servicedir.CONTROL, os.O_RDWR)
        if not stat.S_ISFIFO(os.fstat(control).st_mode):
            raise Temporary(b"unable to read %s/%s: not a FIFO" % (self.name, servicedir.CONTROL))
        self.loop.hear(control, lambda: self.tell(COMMANDS))
        self.control = control

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
    def find_left(self, orphan: Orphan) -> State | None:
        """What a supervise that was killed has left; its processes are ours from now on.

        Args:
            orphan: the ./run that it had started and not announced, if svscan knows it.
        """
        try:
            orphan = orphan or left_in_lock()
            found = state.left(slurp(servicedir.STATUS) or b"", slurp(servicedir.STATE) or b"")
        except OSError:
            found = None
        if orphan and state.identity(orphan[0]) == orphan[1] and not (found and found.alive):
            found = state.unannounced(*orphan, self.settings().notification_fd, found)
        if found is None:
            return None
        pid = found.number(b"pid")
        self.adopt(pid or found.number(b"finish"), found.lines.get(b"process"))
        if pid and self.alive and b"notification" in found.lines:
            self.notification_fd = found.number(b"notification")
            if not found.ready:
                self.hear_service()
        if self.settings().kill_tree:
            self.plant(found.lines.get(b"tree", b""))
        if self.tree:
            self.tree.recall(found.lines.get(b"orphans", b""))
            self.hold_tree(pid)
        return found

    def adopt(self, pid: int, identity: bytes | None) -> None:
        """Hear of the end of the process *pid*, if it is still the one that *identity* tells."""
        try:
            self.foreign = os.pidfd_open(pid) if pid else None
        except OSError:
            return
        # Asked when the descriptor is there: from here on it is the process that we have looked at, or none.
        if self.foreign is None or identity is None or state.identity(pid) != identity:
            self.forget_process()
            return
        self.identity = identity
        self.loop.hear(self.foreign, lambda: self.tell(ENDED))

    @property
    def alive(self) -> bool:
        """Whether a process of ./run or ./finish is known that has not ended."""
        return self.identity is not None

    # -- what a service does to the world --------------------------------------------------
    def settings(self) -> Settings:
        return settings.read(self.name)

    def start(self, settings: Settings) -> int:
        self.forget_process()
        if settings.kill_tree:
            self.plant()
        try:
            if settings.notification_fd is not None:
                new_file()
                self.notification_fd = settings.notification_fd
                self.hear_service()
            return self.launch(settings) or self.hold(lambda: self.run(settings))
        except OSError as error:
            if error.errno in NEEDS_ROOM:
                say(b"supervise: warning: unable to fork for %s, sleeping 60 seconds: %s" % (self.name, reason(error)))
                return NO_PROCESS
            self.cannot_run(error)
            return NO_PROGRAM

    def finish(self, ended: tuple[int, int]) -> int:
        code, number = ended
        try:
            return self.hold(lambda: self.become([servicedir.FINISH, b"%d" % code, b"%d" % number, self.name]))
        except OSError as error:
            say(b"supervise: warning: unable to start %s/finish: %s" % (self.name, reason(error)))
            return 0

    def launch(self, settings: Settings) -> int:
        """Start ./run under a mark; its pid, or 0: it must be held."""
        mark = self.around.mark
        if mark is None or settings.kill_tree:
            return 0
        fd = settings.notification_fd
        try:
            begin_in(self.lock)
        except OSError:
            return 0
        self.starting = True
        mark.begin(self.key)
        try:
            with self.around.room:
                pid = launch([servicedir.RUN], self.fds, {} if fd is None else {fd: servicedir.NOTIFICATIONS})
        except (OSError, ValueError) as error:
            mark.end()
            if isinstance(error, OSError):
                raise
            return 0
        self.identity = state.identity(pid)
        return pid

    def hold(self, work: Callable[[], int]) -> int:
        """A child that does *work* when we have told everybody that it is there; its pid."""
        self.child = Held(work, self.fds)
        self.identity = state.identity(self.child.pid)
        return self.child.pid

    def run(self, settings: Settings) -> int:
        """In the child: become ./run."""
        try:
            if settings.notification_fd is not None:
                os.dup2(os.open(servicedir.NOTIFICATIONS, os.O_RDWR | os.O_APPEND), settings.notification_fd)
                os.set_inheritable(settings.notification_fd, True)  # it may have been the same number
            if settings.kill_tree and self.tree:
                self.tree.enter()
        except OSError as error:
            self.cannot_run(error)
            return TEMPORARY
        return self.become([servicedir.RUN])

    def become(self, argv: Argv) -> int:
        """In the child: become ./run or ./finish; if that cannot be, the exit code."""
        self.around.room.leave()
        try:
            execute(argv)
        except OSError as error:
            self.cannot_run(error, argv[0])
            return TEMPORARY

    def cannot_run(self, error: OSError, program: bytes = servicedir.RUN) -> None:
        say(b"supervise: fatal: unable to start %s/%s: %s" % (self.name, program[2:], reason(error)))

    def plant(self, folder: bytes = b"") -> None:
        """Have a place for the service's processes; *folder*, if that is a control group of a supervise before us."""
        if self.tree:
            return
        place = os.fstat(self.place)
        self.tree = tree_of(b"%s.%x.%d" % (self.name, place.st_dev, place.st_ino), folder, self.around.alone)
        if self.tree and self.tree.events is not None:
            self.loop.hear(self.tree.events, lambda: self.tell(TREE), self.tree.urgent)

    def hold_tree(self, pid: int) -> None:
        """Know what is below *pid* if that is a ./run which is no child of ours, for we do not inherit it."""
        if self.tree and self.foreign is not None:
            self.tree.adopt(pid)

    def unread(self) -> bool:
        if 0 not in self.fds:
            return False
        poll = select.poll()
        poll.register(self.fds[0], select.POLLIN)
        return any(events & select.POLLIN for _, events in poll.poll(0))  # not only POLLHUP

    def kill(self, pid: int, number: int) -> None:
        self.hold_tree(pid)  # it may not live to be asked again
        try:
            if self.foreign is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(self.foreign, number)
        except OSError:
            pass  # it has become somebody whom we may not kill

    def sweep(self, number: int) -> bool:
        return self.tree.send(number) if self.tree else False

    def announce(self, service: Service) -> None:
        self.look(service)
        known = self.announcement.make(describe(self, service), bytes(service.status))
        if self.child:
            self.child.let_go()
            self.child = None
        if self.starting and known:
            self.starting = False
            os.ftruncate(self.lock, 0)
            if self.around.mark:
                self.around.mark.end()

    @property
    def next(self) -> float | None:
        """When there is something to announce again, or to look for, on the clock that never goes back."""
        moments = (self.announcement.again, self.tree.next if self.tree else None)
        return min((moment for moment in moments if moment is not None), default=None)

    def tick(self, service: Service, now: float) -> None:
        """Announce what could not be announced before, and what has been found in the tree."""
        again = self.announcement.again
        if (again is not None and again <= now) or self.look(service):
            self.announce(service)

    def look(self, service: Service) -> bool:
        """Look for processes of the tree that the next supervise must know; whether there is any change."""
        self.hold_tree(service.status.pid)
        return self.tree is not None and self.tree.look((service.status.pid, service.finisher))

    # -- readiness -----------------------------------------------------------------------------
    def hear_service(self) -> None:
        """Hear ./run say that it is ready."""
        try:
            self.ear = self.around.readiness.hear(lambda: self.tell(NOTIFIED))
        except OSError as error:
            say(b"supervise: warning: %s is ready when it is up: unable to hear it: %s" % (self.name, reason(error)))
            self.notification_fd = None

    def heard_ready(self) -> bool:
        """Whether ./run has said that it is ready, and nobody has taken note of it."""
        if self.ear is None or not is_said():
            return False
        self.hear_no_more()
        return True

    def hear_no_more(self) -> None:
        if self.ear is not None:
            self.around.readiness.forget(self.ear)
            self.ear = None

    # -- ends --------------------------------------------------------------------------------
    def forget_process(self) -> None:
        """The process of ./run or ./finish is no more."""
        self.identity = self.notification_fd = None
        self.hear_no_more()
        if self.child:
            self.child.close()
            self.child = None
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
