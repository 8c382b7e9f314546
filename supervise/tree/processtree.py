"""All processes that a service has started, for services with `kill-tree`.

Where the machine lets us make control groups (version 2), the service gets one of its own, which no
process of it can leave.  Elsewhere supervise becomes the one who inherits orphans (a subreaper, see
prctl(2)): whatever ./run leaves behind has supervise as its parent from the moment ./run ends.
"""

from __future__ import annotations

import os
import signal

from supervise.stamp import label
from supervise.tree.state import process_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PR_SET_CHILD_SUBREAPER = 36
PROCESSES = b"/cgroup.procs"


class ControlGroup:
    """A control group for one service.

    Args:
        folder: its folder; there is one.
    """

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self.events: int | None = os.open(folder + b"/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)

    def hear(self) -> None:
        """Read what `events`, which polls as urgent, has to tell: the first process has come, or the last one gone."""
        assert self.events is not None
        os.pread(self.events, 4096, 0)

    def enter(self) -> None:
        """Become a member, with all that we will start; for a child on its way to exec."""
        write(self.folder + PROCESSES, b"0")

    def members(self, spared: Iterable[int] = ()) -> list[int]:
        """The processes in it and in the groups below it, but for the *spared*."""
        found = []
        for place, _, _ in os.walk(self.folder):
            found += [int(pid) for pid in (process_file(place + PROCESSES) or b"").split()]
        return [pid for pid in found if pid not in spared]

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
    """Ourselves as the one who inherits what a service leaves behind."""

    folder = b""
    events: int | None = None  # the end of a child tells

    def hear(self) -> None:
        """Nothing to do."""

    def enter(self) -> None:
        """Nothing to do: a child of ours is one already."""

    def members(self, spared: Iterable[int] = ()) -> list[int]:
        """The processes below us, but for the *spared* and those below them."""
        found: list[int] = []
        unseen = [os.getpid()]
        while unseen:
            unseen = [pid for each in unseen for pid in children(each) if pid not in spared]
            found += unseen
        return found

    def remove(self) -> None:
        """Nothing to do."""


def tree_of(name: bytes, folder: bytes = b"") -> ControlGroup | Orphans | None:
    """A place for the processes of the service *name*, or None: this machine has none.

    Args:
        folder: the control group that a supervise before us has made.
    """
    if folder and os.path.isdir(folder):
        return ControlGroup(folder)
    group = own_group()
    if group:
        folder = b"%s/%s.%s" % (group, name.replace(b"/", b"."), label()[1:])
        try:
            os.mkdir(folder, 0o755)
        except OSError:
            pass  # not allowed here
        else:
            return ControlGroup(folder)
    return Orphans() if inherit_orphans() else None


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


def children(pid: int) -> list[int]:
    """The children of *pid*."""
    return [int(word) for word in (process_file(b"/proc/%d/task/%d/children" % (pid, pid)) or b"").split()]


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to all of *pids* that are there; after TERM comes CONT, so that what is stopped sees it."""
    for pid in pids:
        try:
            os.kill(pid, number)
            if number == signal.SIGTERM:
                os.kill(pid, signal.SIGCONT)
        except OSError:
            pass


def write(file: bytes, content: bytes) -> None:
    """Write *content* to a file of the kernel's."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)
