"""All processes that a service has started, for services with `kill-tree`.

Where the machine lets us make control groups (version 2), the service gets one of its own, which no
process of it can leave.  Elsewhere supervise becomes the one who inherits orphans (a subreaper, see
prctl(2)): whatever ./run leaves behind has supervise as its parent from the moment ./run ends.  Then
supervise must watch no other service, whose orphans these could be as well.

When such a supervise is killed, somebody else inherits all of them.  So it has written down its orphans, as it last
saw them, and the next one holds on to these, to what is below ./run, and to what is below those, one by one.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time

from supervise.tree.state import identity, process_file, this_boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
PROCESSES = b"/cgroup.procs"
KILL = b"/cgroup.kill"
LOOK = 5.0  # seconds from one look for orphans to the next
MOST = 500  # orphans that are known one by one
PASSES = 100  # at processes that start others while we stop them


class Crowded(Exception):
    """The service's processes can be told from others only by a supervise that watches nothing else."""


class ControlGroup:
    """A control group for one service.

    Args:
        folder: its folder; there is one.
    """

    next: float | None = None  # its processes need not be looked for
    urgent = select.EPOLLPRI

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self.events: int | None = os.open(folder + b"/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)

    def hear(self) -> None:
        """Read what `events`, has to tell: the first process has come, or the last one gone."""
        assert self.events is not None
        os.pread(self.events, 4096, 0)

    def enter(self) -> None:
        """Become a member, with all that we will start; for a child on its way to exec."""
        write(self.folder + PROCESSES, b"0")

    def recall(self, words: bytes) -> None:
        """Nothing to do: the group knows its members."""

    def adopt(self, pid: int) -> None:
        """Nothing to do."""

    def look(self, ours: tuple[int, ...]) -> bool:
        """Nothing to do."""
        return False

    def describe(self) -> bytes:
        """Nothing that the next supervise must know."""
        return b""

    def send(self, number: int) -> bool:
        """Send a signal to the processes in it and in the groups below it; whether there are any."""
        found = self.members()
        if number == signal.SIGKILL and found:
            try:
                write(self.folder + KILL, b"1")
            except OSError:  # a kernel before 5.14
                kill_all(self.members)
        else:
            signal_all(found, number)
        return bool(found)

    def members(self) -> list[int]:
        """The processes in it and in the groups below it."""
        found = []
        for place, _, _ in os.walk(self.folder):
            found += [int(pid) for pid in (process_file(place + PROCESSES) or b"").split()]
        return found

    def remove(self) -> None:
        """Let the group go, unless somebody is in it."""
        assert self.events is not None
        os.close(self.events)
        for place, _, _ in os.walk(self.folder, topdown=False):
            try:
                os.rmdir(place)
            except OSError:
                pass


class Orphans:
    """Ourselves as the one who inherits what the service leaves behind.

    `next` is when to look again for what has been inherited, on the clock that never goes back.
    """

    folder = b""
    urgent = select.EPOLLIN

    def __init__(self) -> None:
        self.next: float | None = 0.0
        self.left: list[tuple[int, bytes]] = []  # as last written down: process and identity
        self.ends = select.epoll()
        self.events: int | None = self.ends.fileno()
        self.others: dict[int, int] = {}  # a descriptor (pidfd) of each process that somebody else inherits, by number

    def hear(self) -> None:
        """Some of the others have ended."""
        ended = {fd for fd, _ in self.ends.poll(0)}
        for pid, fd in list(self.others.items()):
            if fd in ended:
                self.ends.unregister(fd)
                os.close(fd)
                del self.others[pid]

    def enter(self) -> None:
        """Nothing to do: a child of ours is one already."""

    def hold(self, pids: list[int]) -> None:
        """Hold on to processes that are not below us."""
        for pid in pids:
            if pid not in self.others and len(self.others) < MOST:
                try:
                    self.others[pid] = os.pidfd_open(pid)
                    self.ends.register(self.others[pid], select.EPOLLIN)
                except OSError:  # it has ended
                    pass

    def recall(self, words: bytes) -> None:
        """Hold on to those whom the supervise before us has left, as `describe` has them."""
        self.hold([pid for pid, process in parse(words) if identity(pid) == process])

    def adopt(self, pid: int) -> None:
        """Hold on to what is below *pid*, a ./run that is no child of ours."""
        self.hold(below([pid]))

    def look(self, ours: tuple[int, ...]) -> bool:
        """Look for what has been inherited; whether that is not what it was.

        Args:
            ours: the children that are no orphans.
        """
        self.next = time.monotonic() + LOOK
        pids = [*(pid for pid in children(os.getpid()) if pid not in ours), *self.others]
        found = [(pid, process) for pid in sorted(pids)[:MOST] if (process := identity(pid))]
        changed, self.left = found != self.left, found
        return changed

    def describe(self) -> bytes:
        """The processes that the next supervise must know, for `supervise/state`."""
        return b" ".join([b"%d %s" % (pid, process.rpartition(b" ")[2]) for pid, process in self.left])

    def send(self, number: int) -> bool:
        """Send a signal to the processes below us and to the others; whether there are any."""
        found = self.members()
        if number == signal.SIGKILL:
            kill_all(self.members)
        else:
            signal_all(found, number)
        return bool(found)

    def members(self) -> list[int]:
        """The processes below us, the others, and those below them."""
        self.hear()
        self.hold(below(list(self.others)))
        return [*below([os.getpid()]), *self.others]

    def remove(self) -> None:
        """Hold on to nobody."""
        for fd in self.others.values():
            os.close(fd)
        self.ends.close()


def tree_of(name: bytes, folder: bytes, alone: bool) -> ControlGroup | Orphans | None:
    """A place for the processes of the service *name*, or None: this machine has none.

    Args:
        name: the same for each supervise of this service, and no other's.
        folder: the control group that a supervise before us has made, if it said so.
        alone: we watch nothing else.

    Raises:
        Crowded: we must be alone for that.
    """
    place = folder if os.path.exists(folder + PROCESSES) else new_group(name)
    try:
        return ControlGroup(place)
    except OSError:
        pass  # not here
    if not alone:
        raise Crowded
    return Orphans() if inherit_orphans() else None


def new_group(name: bytes) -> bytes:
    """The folder of a control group *name* below our own, which is made when it is missing; empty: that cannot be."""
    group = own_group()
    if group is None:
        return b""
    folder = b"%s/%s" % (group, name.replace(b"/", b"."))
    try:
        os.mkdir(folder, 0o755)
    except OSError as error:
        return folder if error.errno == errno.EEXIST else b""
    return folder


def own_group() -> bytes | None:
    """The folder of the control group that we are in, or None: there is no such thing here."""
    path = None
    for line in (process_file(b"/proc/self/cgroup") or b"").splitlines():
        if line.startswith(b"0::"):
            path = line[3:]
    for line in (process_file(b"/proc/self/mounts") or b"").splitlines():
        words = line.split()
        if path and len(words) > 2 and words[2] == b"cgroup2":
            folder = words[1] + path.rstrip(b"/")
            return folder if os.path.exists(folder + PROCESSES) else None
    return None


def inherit_orphans() -> bool:
    """Ask the kernel for the orphans below us; whether it gives them."""
    import ctypes  # 8 ms and a megabyte that only this service needs

    return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def parse(words: bytes) -> list[tuple[int, bytes]]:
    """Process and identity of those that `describe` has told."""
    numbers = words.split()
    boot = this_boot() or b""
    return [
        (int(pid), b"%s %s" % (boot, start))
        for pid, start in zip(numbers[::2], numbers[1::2], strict=False)
        if pid.isdigit() and len(pid) < 10
    ]


def below(pids: list[int]) -> list[int]:
    """The processes below *pids*."""
    found: list[int] = []
    while pids:
        pids = [pid for each in pids for pid in children(each)]
        found += pids
    return found


def children(pid: int) -> list[int]:
    """The children of *pid*, whichever thread of it has started them."""
    try:
        threads = os.listdir(b"/proc/%d/task" % pid)
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        words = (process_file(b"/proc/%d/task/%s/children" % (pid, thread)) or b"").split()
        found += [int(word) for word in words]
    return found


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to all of *pids* that are there; after TERM comes CONT, so that what is stopped sees it."""
    for pid in pids:
        try:
            os.kill(pid, number)
            if number == signal.SIGTERM:
                os.kill(pid, signal.SIGCONT)
        except OSError:
            pass


def kill_all(members: Callable[[], list[int]]) -> None:
    """Kill all that *members* finds, and what those start meanwhile: first everybody is stopped."""
    stopped: list[int] = []
    for _ in range(PASSES):
        running = [pid for pid in members() if pid not in stopped]
        if not running:
            break
        signal_all(running, signal.SIGSTOP)
        stopped += running
    signal_all(stopped, signal.SIGKILL)


def write(file: bytes, content: bytes) -> None:
    """Write *content* to a file of the kernel's."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)
