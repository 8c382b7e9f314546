"""Services under watch, any number of them in one loop."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from supervise.command import say
from supervise.errors import TEMPORARY
from supervise.loop import Loop, Signals
from supervise.tree import settings
from supervise.tree.folder import COMMANDS, ENDED, NOTIFIED, TREE, Folder
from supervise.tree.processtree import Crowded
from supervise.tree.service import Service
from supervise.tree.state import ENDING, FINISHING, KILLED, RUNNING, UNSEEN
from supervise.tree.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.room import Room
    from supervise.tree.mark import Mark, Orphan


READY, UNREADY, LEFT, ESSENTIAL, CROWDED, FULL = range(6)  # news


class Watch:
    """A loop that watches services until they are left.

    Args:
        room: for descriptors.
        alone: there will be one service only.
        mark: where svscan finds what was being started when we are killed.

    `news` has the key of a service, what has happened to it, and an exit code: READY, UNREADY; LEFT, it is
    watched no longer, and a supervise of its own would have ended with that code; ESSENTIAL, the same, and all
    other services are to go too; CROWDED, it is watched no longer, and needs a supervise of its own; FULL, it has not
    been taken, for there is no room for another one.
    """

    def __init__(self, room: Room, alone: bool, mark: Mark | None = None) -> None:
        self.loop = Loop()
        self.around = Surroundings(self.loop, room, alone, mark)
        self.signals = Signals(signal.SIGCHLD)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # when nobody is left to complain to
        self.loop.hear(self.signals.fileno(), self.bury)
        self.watched: dict[int, Watched] = {}
        self.news: list[tuple[int, int, int]] = []

    def take(
        self, key: int, path: bytes, name: bytes, fds: Mapping[int, int] | None, waiting: bool, orphan: Orphan = None
    ) -> None:
        """Watch the service in *path* from now on.

        Args:
            key: it comes back in `news`.
            name: what it is called in messages.
            fds: what ./run gets instead of descriptors 0, 1 and 2 of ours; they become the watch's.
            waiting: it is not started before it is released, or somebody wants it up.
            orphan: its ./run, which the supervise before us had started and not announced.

        Raises:
            Temporary: it cannot be watched; the text says why.
            Crowded: not here.
        """
        self.watched[key] = Watched(Folder(path, name, self.around, key, fds), waiting, orphan)

    @property
    def full(self) -> bool:
        """Whether there is no room for another service; there is always some for the first."""
        return bool(self.watched) and self.around.room.is_short(self.signals.fileno())

    def turn(self) -> None:
        """Wait until something happens, and do what there is to do."""
        due = [moment for each in self.watched.values() if (moment := each.next) is not None]
        self.loop.wait(min(due) - time.monotonic() if due else None)
        now = time.monotonic()
        for key, each in list(self.watched.items()):
            if not each.service.left and each.next is not None and each.next <= now:
                each.guard(each.tick)
            if each.ready != each.is_ready:
                each.ready = each.is_ready
                self.news.append((key, READY if each.ready else UNREADY, 0))
            if each.service.left:
                each.folder.leave()
                del self.watched[key]
                what = CROWDED if each.crowded else ESSENTIAL if each.service.leaving == settings.ESSENTIAL else LEFT
                self.news.append((key, what, each.service.code))

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

    def __init__(self, folder: Folder, waiting: bool, orphan: Orphan) -> None:
        self.folder = folder
        self.ready = False  # as last told in the news
        self.crowded = False
        folder.tell = self.told
        try:
            wanted = folder.wanted()
            folder.take_over()
            found = folder.find_left(orphan)
            # Who is run by the same svscan as the one before goes on with what was wanted then.
            same = found and (found.word == RUNNING or found.watched == folder.around.watcher)
            self.service = Service(folder, found.want if found and same else wanted, time.time_ns(), waiting)
            if found:
                self.service.take_over(found, folder.alive, *moment())
                self.hear_ready()
            else:
                self.service.begin(*moment())
            folder.say_ok()
        except BaseException:
            folder.leave()
            raise

    @property
    def next(self) -> float | None:
        """When there is something to do, on the clock that never goes back; None: only when something has happened."""
        if self.service.left:
            return 0.0
        moments = (self.service.next, self.folder.next)
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def is_ready(self) -> bool:
        """Whether the service is up and, if it says when it is ready, has said so."""
        service = self.service
        return service.phase == RUNNING and (self.folder.notification_fd is None or service.ready is not None)

    def told(self, what: int) -> None:
        """Hear of something that has happened."""
        acts = {
            COMMANDS: self.hear_commands,
            NOTIFIED: self.hear_ready,
            ENDED: self.foreign_ended,
            TREE: self.look_at_tree,
        }
        self.guard(acts[what])

    def guard(self, act: Callable[[], None]) -> None:
        """Act for this service; what goes wrong with it costs the others nothing."""
        try:
            self.folder.enter()
            act()
        except Crowded:
            self.folder.announce(self.service)  # the next supervise goes on from there
            self.crowded = self.service.left = True
        except Exception as bug:  # ours, and still one line
            if b"PYQMAIL_DEBUG" in os.environb:
                raise
            say(b"supervise: bug: %s: %s" % (self.folder.name, repr(bug).encode()))
            self.service.left, self.service.code = True, TEMPORARY

    def hear_commands(self) -> None:
        """Do what has been written to the control FIFO."""
        self.obey(self.folder.commands())

    def obey(self, letters: bytes) -> None:
        """Do what *letters* say."""
        for code in letters:
            if not self.service.left:
                self.service.happen(bytes([code]), *moment())

    def hear_ready(self) -> None:
        """See whether the service is ready."""
        if self.folder.heard_ready():
            self.service.announce_ready(*moment())

    def foreign_ended(self) -> None:
        """A ./run or ./finish that is no child of ours is no more."""
        self.folder.forget_process()
        if self.service.phase == FINISHING:
            self.service.finished(UNSEEN[0], *moment())
        else:
            self.service.died(UNSEEN, *moment())

    def look_at_tree(self) -> None:
        """See whether anything is left of the service's tree."""
        if self.folder.tree:
            self.folder.tree.hear()
        if self.service.phase == ENDING and not self.folder.sweep(0):
            self.service.swept(*moment())

    def buried(self, pid: int, status: int) -> None:
        """Our child *pid* is no more."""
        self.folder.forget_process()
        if pid == self.service.status.pid:
            self.service.died(how(status), *moment())
        else:
            self.service.finished(how(status)[0], *moment())

    def tick(self) -> None:
        """Do what it is time for."""
        self.service.tick(*moment())
        self.folder.tick(self.service, time.monotonic())


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
