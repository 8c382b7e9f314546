"""The services in the folder that svscan watches: who is there, who runs, who waits for whom."""

from __future__ import annotations

import os
import stat
from functools import partial

from supervise.command import say
from supervise.errors import TEMPORARY, reason
from supervise.files import slurp
from supervise.program import execute, find, spawn
from supervise.tree import servicedir
from supervise.tree.mark import orphan
from supervise.tree.order import Order
from supervise.tree.service import RELEASED
from supervise.tree.state import State
from supervise.tree.supervised import Service, Supervised
from supervise.tree.supervisor import Supervisor
from supervise.tree.watch import CROWDED, ESSENTIAL, FULL, READY, UNREADY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.loop import Loop
    from supervise.room import Room

LONGEST = 255  # bytes of the name of a service with a log
SUPERVISE = b"supervise"


class Tree:
    """The services that have been seen, by device and inode, so a new name makes no new service.

    Args:
        loop: what waits for the supervisors' descriptors.
        room: for descriptors.
    """

    def __init__(self, loop: Loop, room: Room) -> None:
        self.loop, self.room = loop, room
        self.services: dict[tuple[int, int], Service] = {}
        self.parts: dict[int, Supervised] = {}  # by key
        self.listed: dict[bytes, tuple[int, Service]] = {}  # inodes in the folder, and services, at the last look
        self.next_key = 1
        self.looks = 0
        self.supervisors: dict[int, Supervisor] = {}  # by pid
        self.shared: Supervisor | None = None  # that of services that do not need one of their own
        self.lost: list[Supervised] = []  # those whose supervise was killed, until the next look
        self.heard = False  # there has been news, which may release somebody
        self.closing = False  # nothing is started any more
        self.warned: set[bytes] = set()  # what has been said of files `after`
        self.essential: int | None = None  # the exit code of an essential service that has ended

    # -- looking -----------------------------------------------------------------------------
    def scan(self) -> None:
        """Look at the folder, and start what is there and does not run."""
        try:
            entries = list(os.scandir(b"."))
        except OSError as error:
            warn(b"unable to read directory", error)
            return
        self.lost.clear()
        self.looks += 1
        self.listed = {entry.name: found for entry in entries if (found := self.glance_at(entry))}
        self.forget()
        self.start_all([service for _, service in self.listed.values() if not service.complete])
        self.release()

    def glance_at(self, entry: os.DirEntry[bytes]) -> tuple[int, Service] | None:
        """The inode of *entry* and the service that it stands for; None: it is none, or cannot be known.

        A folder that was there at the last look is known by its inode, which costs no system call.
        """
        name, inode = entry.name, entry.inode()
        if name.startswith(b"."):
            return None
        before = self.listed.get(name)
        if before and before[0] == inode and before[1].name == name and not entry.is_symlink():
            before[1].seen = self.looks
            return before
        service = self.look_at(name)
        return (inode, service) if service else None

    def add(self, name: bytes) -> None:
        """Start what *name*, which is new in the folder, stands for."""
        service = self.look_at(name)
        if service:
            self.start_all([service])
            self.heard = True

    def look_at(self, name: bytes) -> Service | None:
        """The service that *name* stands for; None: it is none, or cannot be known."""
        try:
            status = os.stat(name)
        except OSError as error:
            warn(b"unable to stat " + name, error)
            return None
        key = status.st_dev, status.st_ino
        service = self.services.get(key)
        if service is None:
            service = self.meet(key, name) if stat.S_ISDIR(status.st_mode) else None
            if service is None:
                return None
        service.seen = self.looks
        if service.name != name and not os.path.exists(service.name):
            service.rename(name)
        return service

    def meet(self, key: tuple[int, int], name: bytes) -> Service | None:
        """Take in a service that we have not seen; None when that cannot be done."""
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
        service = Service(name, pipe, self.next_key)
        self.next_key += 2
        self.services[key] = service
        self.parts |= {part.key: part for part in service.parts}
        return service

    def forget(self) -> None:
        """Drop what is no longer in the folder and no longer runs."""
        for key, service in list(self.services.items()):
            if service.seen != self.looks and not service.running:
                for part in service.parts:
                    part.close()
                    del self.parts[part.key]
                del self.services[key]

    # -- starting ----------------------------------------------------------------------------
    def start_all(self, services: list[Service]) -> None:
        """Start what does not run of *services*."""
        order = self.order()
        for service in services:
            for part in service.parts:
                if not part.running:
                    self.start(part, waiting=part is service.main and self.must_wait(service, order))

    def start(self, part: Supervised, waiting: bool) -> None:
        """Start a supervise for *part*; if it is *waiting*, one that does not start the service yet."""
        part.waiting = waiting
        if find(SUPERVISE):
            self.have_watched(part)
        elif not waiting:  # a foreign supervise does not know how to wait
            self.start_foreign(part)

    def watch_again(self, part: Supervised) -> bool:
        """Have *part* watched, whose supervise was killed, and start nothing; False: try that again later."""
        if find(SUPERVISE):
            self.start(part, waiting=True)
            return part.running
        return True

    def have_watched(self, part: Supervised) -> None:
        """Give *part* to a supervisor, which is started when there is none."""
        supervisor = None if part.alone else self.shared
        try:
            if supervisor is None:
                supervisor = Supervisor(self.room, part.alone)
                self.supervisors[supervisor.pid] = supervisor
                self.loop.hear(supervisor.fileno(), partial(self.hear, supervisor))
                if not part.alone:
                    self.shared = supervisor
            name = os.path.basename(part.path)
            supervisor.watch(part.key, part.path, name, part.fds, part.waiting, part.orphan)
        except ConnectionError:
            return  # it was killed, which we are about to hear
        except OSError as error:
            warn(b"unable to fork for " + part.path, error)
            return
        part.supervisor = supervisor

    def start_foreign(self, part: Supervised) -> None:
        """Start a supervise that is not ours."""
        part.left = writing_of(part.path + b"/" + servicedir.STATUS)
        try:
            part.pid = spawn(lambda: become_supervise(part.path, self.room), part.fds)
        except OSError as error:
            warn(b"unable to fork for " + part.path, error)

    # -- order -------------------------------------------------------------------------------
    def order(self) -> Order:
        """The order of the services that are there."""
        there = {service.name: service for service in self.services.values() if service.seen == self.looks}
        return Order(there, self.warn_once)

    def must_wait(self, service: Service, order: Order) -> bool:
        """Whether a service that is named in the file `after` of *service* is not ready, or not there."""
        awaited = [name for name in order.before(service.name) if self.is_awaited(name, service, order)]
        return bool(awaited)

    def is_awaited(self, name: bytes, service: Service, order: Order) -> bool:
        """Whether *service* must wait for the service *name*."""
        if name not in order.there:
            self.warn_once(b"%s waits for %s, which is not here" % (service.name, name))
            return True
        if is_ready(order.there[name].main):
            return False
        if order.waits_for(name, service.name):
            self.warn_once(b"%s and %s wait for each other, so neither does" % (service.name, name))
            return False
        return True

    def release(self) -> None:
        """Let those start that wait for nobody any more."""
        self.heard = False
        waiting = [service for service in self.services.values() if service.main.waiting]
        if not waiting:
            return
        order = self.order()
        for service in waiting:
            if self.must_wait(service, order):
                continue
            if not service.main.running:
                self.start(service.main, waiting=False)
            elif self.command(service.main, RELEASED):
                service.main.waiting = False

    def command(self, part: Supervised, letters: bytes) -> bool:
        """Have the supervise of *part* do what *letters* say, as `svc` would; whether it is there to hear it."""
        if part.supervisor:
            return part.supervisor.command(part.key, letters)
        return command_foreign(part, letters)

    def warn_once(self, what: bytes) -> None:
        if what not in self.warned:
            self.warned.add(what)
            say(b"svscan: warning: " + what)

    # -- hearing -----------------------------------------------------------------------------
    def hear(self, supervisor: Supervisor) -> None:
        """Take note of what a supervisor tells."""
        self.heard = True
        for key, what, code in supervisor.news():
            part = self.parts.get(key)
            if part is None:
                continue
            if what != FULL:
                part.orphan = None  # it is known, or was none
            if what in (READY, UNREADY):
                part.ready = what == READY
                continue
            waiting = part.waiting
            part.gone()
            if what == FULL and self.shared is supervisor:
                self.shared = None
            if supervisor is not self.shared and not self.has_services(supervisor):
                self.dismiss(supervisor)
            if what == ESSENTIAL:
                self.essential = code
                say(b"svscan: %s, which is essential, has ended with %d" % (part.path, code))
            if what in (CROWDED, FULL):
                part.alone = what == CROWDED
                if self.closing:
                    self.lost.append(part)
                else:
                    self.start(part, waiting)

    def reap(self) -> bool:
        """Take note of every process that has ended, whoever started it; whether a supervise was killed."""
        before = len(self.lost)
        for pid, status in iter(wait_for_any, None):
            supervisor = self.supervisors.get(pid)
            if supervisor:
                self.hear(supervisor)  # its last news
                self.find_orphan(supervisor)
                self.dismiss(supervisor)
            for part in self.parts.values():
                if part.pid == pid or (supervisor and part.supervisor is supervisor):
                    part.gone()
                    if supervisor or os.WIFSIGNALED(status):
                        self.lost.append(part)
        return len(self.lost) > before

    def find_orphan(self, supervisor: Supervisor) -> None:
        """Find the ./run that *supervisor*, which is dead, has started and not announced."""
        key, since = supervisor.mark.left()
        if key in self.parts:
            known = {*self.supervisors, *(pid for part in self.parts.values() for pid in processes(part))}
            self.parts[key].orphan = orphan(since, known, directory(self.parts[key]))

    def has_services(self, supervisor: Supervisor) -> bool:
        """Whether *supervisor* has a service."""
        return any(part.supervisor is supervisor for part in self.parts.values())

    def dismiss(self, supervisor: Supervisor) -> None:
        """Have no more to do with a supervisor: it is dead, or has nothing to do any more, and will end."""
        if self.supervisors.pop(supervisor.pid, None):
            self.loop.forget(supervisor.fileno())
            supervisor.close()
        if self.shared is supervisor:
            self.shared = None


def is_ready(part: Supervised) -> bool:
    """Whether the service is ready; of a foreign supervise we know only whether it is up."""
    if not part.pid:
        return part.ready
    file = directory(part) + servicedir.STATUS
    try:
        return servicedir.Status.parse(slurp(file) or b"").pid != 0 and writing_of(file) != part.left
    except (OSError, ValueError):
        return False


def writing_of(file: bytes) -> tuple[int, int] | None:
    """What tells one writing of *file* from the next, which puts another in its place; None: there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def processes(part: Supervised) -> list[int]:
    """The processes of the service that are known: its foreign supervise, ./run and ./finish."""
    try:
        found = State.parse(slurp(directory(part) + servicedir.STATE) or b"")
    except OSError:
        return [part.pid]
    return [part.pid, found.number(b"pid"), found.number(b"finish")]


def command_foreign(part: Supervised, letters: bytes) -> bool:
    """Write commands to the supervise of *part*, which is not ours; whether it is there."""
    try:
        fd = servicedir.open_writer(directory(part) + servicedir.CONTROL)
        if fd is None:
            return False
        try:
            os.write(fd, letters)
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


def directory(part: Supervised) -> bytes:
    """The service directory, as far as we can reach it: that of a foreign supervise, whatever it is called by now."""
    return b"/proc/%d/cwd/" % part.pid if part.pid else part.path + b"/"


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


def become_supervise(path: bytes, room: Room) -> int:
    """In the child: become a supervise that is not ours, for NAME or NAME/log."""
    room.leave()
    folder, name = os.path.split(path)
    try:
        os.chdir(folder or b".")
    except OSError as error:
        say(b"svscan: fatal: unable to switch to %s: %s" % (folder, reason(error)))
        return TEMPORARY
    try:
        execute([SUPERVISE, name])
    except OSError as error:
        say(b"svscan: fatal: unable to start supervise %s: %s" % (path, reason(error)))
        return TEMPORARY


def warn(what: bytes, error: OSError) -> None:
    """Say what went wrong; svscan goes on."""
    say(b"svscan: warning: %s: %s" % (what, reason(error)))
