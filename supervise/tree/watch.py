"""Services under watch, any number of them in one loop."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from supervise.command import say
from supervise.errors import TEMPORARY
from supervise.loop import Loop, Signals
from supervise.tree.folder import COMMANDS, ENDED, NOTIFIED, TREE, Folder
from supervise.tree.service import Service
from supervise.tree.servicedir import UP
from supervise.tree.state import ENDING, KILLED, RUNNING, UNSEEN, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.room import Room


READY, UNREADY, LEFT, ESSENTIAL = range(4)  # news


class Watch:
    """A loop that watches services until they are left.

    Args:
        room: for descriptors.

    `news` has the key of a service, what has happened to it, and an exit code: READY, UNREADY; LEFT, it is
    watched no longer, and a supervise of its own would have ended with that code; ESSENTIAL, the same, and all
    other services are to go too.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.loop = Loop()
        self.signals = Signals(signal.SIGCHLD)
        self.loop.hear(self.signals.fileno(), self.bury)
        self.watched: dict[int, Watched] = {}
        self.news: list[tuple[int, int, int]] = []

    def take(self, key: int, path: bytes, name: bytes, fds: Mapping[int, int] | None, waiting: bool) -> None:
        """Watch the service in *path* from now on.

        Args:
            key: it comes back in `news`.
            name: what it is called in messages.
            fds: what ./run gets instead of descriptors 0, 1 and 2 of ours; they become the watch's.
            waiting: it is not started before it is released, or somebody wants it up.

        Raises:
            Temporary: it cannot be watched; the text says why.
        """
        self.watched[key] = Watched(Folder(path, name, self.loop, self.room, fds), waiting)

    def turn(self) -> None:
        """Wait until something happens, and do what there is to do."""
        due = [each.service.next for each in self.watched.values() if each.service.next is not None]
        self.loop.wait(min(due) - time.monotonic() if due else None)
        now = time.monotonic()
        for key, each in list(self.watched.items()):
            if each.service.next is not None and each.service.next <= now:
                each.guard(each.tick)
            if each.ready != each.is_ready:
                each.ready = each.is_ready
                self.news.append((key, READY if each.ready else UNREADY, 0))
            if each.service.left:
                each.folder.leave()
                del self.watched[key]
                self.news.append((key, ESSENTIAL if each.service.essential_ended else LEFT, each.service.code))

    def bury(self) -> None:
        """Take note of the children that have ended."""
        self.signals.arrived()
        for pid, status in ended():
            for each in list(self.watched.values()):
                if pid in (each.service.status.pid, each.service.finisher):
                    each.guard(partial(each.buried, pid, status))
        for each in self.watched.values():
            if each.service.phase == ENDING:
                each.guard(each.look_at_tree)


class Watched:
    """One service under watch."""

    def __init__(self, folder: Folder, waiting: bool) -> None:
        self.folder = folder
        self.ready = False  # as last told in the news
        folder.tell = self.told
        try:
            self.service = Service(self.folder, self.folder.wanted(), time.time_ns(), waiting)
            self.folder.take_over()
            self.folder.find_running(self.service)
            if self.service.status.want == UP and self.service.phase not in (WAITING, RUNNING):
                self.service.happen(b"u", *moment())
            else:
                self.folder.announce(self.service)
            self.folder.say_ok()
        except BaseException:
            self.folder.leave()
            raise

    @property
    def is_ready(self) -> bool:
        """Whether the service is up and, if it says when it is ready, has said so."""
        service = self.service
        return service.phase == RUNNING and (self.folder.notification_fd is None or service.ready is not None)

    def told(self, what: int) -> None:
        """Hear of something that has happened."""
        acts = {COMMANDS: self.obey, NOTIFIED: self.hear_ready, ENDED: self.foreign_ended, TREE: self.look_at_tree}
        self.guard(acts[what])

    def guard(self, act: Callable[[], None]) -> None:
        """Act for this service; what goes wrong with it costs the others nothing."""
        try:
            self.folder.enter()
            act()
        except Exception as bug:  # ours, and still one line
            if b"PYQMAIL_DEBUG" in os.environb:
                raise
            say(b"supervise: bug: %s: %s" % (self.folder.name, repr(bug).encode()))
            self.service.left, self.service.code = True, TEMPORARY

    def obey(self) -> None:
        """Do what has been written to the control FIFO."""
        for code in self.folder.commands():
            if not self.service.left:
                self.service.happen(bytes([code]), *moment())

    def hear_ready(self) -> None:
        """See whether the service is ready."""
        if self.folder.heard_ready():
            self.service.announce_ready(*moment())

    def foreign_ended(self) -> None:
        """A ./run that is no child of ours is no more."""
        self.folder.forget_process()
        self.service.died(UNSEEN, *moment())

    def look_at_tree(self) -> None:
        """See whether anything is left of the service's tree."""
        if self.folder.tree:
            self.folder.tree.hear()
        if self.service.phase == ENDING and not self.folder.sweep(0):
            self.service.swept(*moment())

    def buried(self, pid: int, status: int) -> None:
        """Our child *pid* is no more."""
        if pid == self.service.status.pid:
            self.folder.forget_process()
            self.service.died(how(status), *moment())
        else:
            self.service.finished(how(status)[0], *moment())

    def tick(self) -> None:
        """Do what it is time for."""
        self.service.tick(*moment())


def moment() -> tuple[float, int]:
    """This moment, in seconds on a clock that never goes back, and in nanoseconds since 1970."""
    return time.monotonic(), time.time_ns()


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
