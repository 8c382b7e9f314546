"""The services in the folder that svscan watches: who is there, who runs, who waits for whom."""

from __future__ import annotations

import os
import stat

from supervise.command import say
from supervise.errors import TEMPORARY, reason
from supervise.files import slurp
from supervise.program import execute, find, spawn
from supervise.tree import servicedir, settings
from supervise.tree.service import RELEASED
from supervise.tree.supervisor import Supervisor
from supervise.tree.watch import ESSENTIAL, READY, UNREADY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.loop import Loop
    from supervise.room import Room

LONGEST = 255  # bytes of the name of a service with a log
SUPERVISE = b"supervise"


class Supervised:
    """One supervise that svscan has started, of a service or of its log.

    Args:
        key: its name between us and the supervisor.
        path: NAME or NAME/log.
        fds: the end of the pipe that it gets.

    `pid` is its process when it is a foreign program, and 0 when the supervisor does its work.
    """

    __slots__ = ("fds", "key", "path", "pid", "ready", "running", "waiting")

    def __init__(self, key: int, path: bytes, fds: Mapping[int, int]) -> None:
        self.key, self.path, self.fds = key, path, fds
        self.pid = 0
        self.running = self.ready = self.waiting = False

    def gone(self) -> None:
        """It is no more."""
        self.pid = 0
        self.running = self.ready = self.waiting = False


class Service:
    """What svscan knows of one service: its supervise, that of its log, and the pipe between them."""

    __slots__ = ("log", "main", "name", "pipe", "seen", "warned")

    def __init__(self, name: bytes, pipe: tuple[int, int] | None, key: int) -> None:
        self.name, self.pipe = name, pipe
        self.main = Supervised(key, name, {1: pipe[1]} if pipe else {})
        self.log = Supervised(key + 1, name + b"/log", {0: pipe[0]}) if pipe else None
        self.seen = 0  # the number of the last look at which it was there
        self.warned: set[bytes] = set()  # what has been said of its `after`

    @property
    def parts(self) -> list[Supervised]:
        return [self.main, self.log] if self.log else [self.main]

    @property
    def running(self) -> bool:
        """Whether it has a supervise, or its log has."""
        return self.main.running or bool(self.log and self.log.running)

    @property
    def complete(self) -> bool:
        """Whether it has a supervise, and its log too."""
        return self.main.running and (self.log is None or self.log.running)

    def rename(self, name: bytes) -> None:
        """Be known by another name of the same folder."""
        self.name = self.main.path = name
        if self.log:
            self.log.path = name + b"/log"

    def close_pipe(self) -> None:
        """Hold the pipe no longer."""
        for end in self.pipe or ():
            os.close(end)
        self.pipe = None


class Tree:
    """The services that have been seen, by device and inode, so a new name makes no new service.

    Args:
        loop: what waits for the supervisor's descriptor.
        room: for descriptors.
    """

    def __init__(self, loop: Loop, room: Room) -> None:
        self.loop, self.room = loop, room
        self.services: dict[tuple[int, int], Service] = {}
        self.parts: dict[int, Supervised] = {}  # by key
        self.next_key = 1
        self.looks = 0
        self.supervisor: Supervisor | None = None
        self.lost: list[Service] = []  # those whose supervise was killed, until the next look
        self.essential: int | None = None  # the exit code of an essential service that has ended

    # -- looking -----------------------------------------------------------------------------
    def scan(self) -> None:
        """Look at the folder, and start what is there and does not run."""
        try:
            names = os.listdir(b".")
        except OSError as error:
            warn(b"unable to read directory", error)
            return
        self.lost.clear()
        self.looks += 1
        found = [self.look_at(name) for name in names if not name.startswith(b".")]
        self.forget()
        for service in found:
            if service and not service.complete:
                self.start_rest(service)
        self.release()

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

    def add(self, name: bytes) -> None:
        """Start what *name*, which is new in the folder, stands for."""
        service = self.look_at(name)
        if service:
            self.start_rest(service)
            self.release()

    def start_rest(self, service: Service) -> None:
        """Start what does not run of *service*."""
        for part in service.parts:
            if not part.running:
                self.start(part, waiting=part is service.main and bool(self.unready(service)))

    def watch_rest(self, service: Service) -> None:
        """Have those watched again whose supervise was killed, and start nothing that does not run."""
        for part in service.parts:
            if not part.running:
                self.start(part, waiting=True)

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
                service.close_pipe()
                for part in service.parts:
                    del self.parts[part.key]
                del self.services[key]

    # -- starting ----------------------------------------------------------------------------
    def start(self, part: Supervised, waiting: bool) -> None:
        """Start a supervise for *part*; if it is *waiting*, one that does not start the service yet."""
        part.waiting = waiting
        if not find(SUPERVISE):
            if not waiting:  # a foreign supervise does not know how to wait
                self.start_foreign(part)
            return
        try:
            self.engage().watch(part.key, part.path, os.path.basename(part.path), part.fds, waiting)
        except OSError as error:
            warn(b"unable to fork for " + part.path, error)
            return
        part.running = True

    def engage(self) -> Supervisor:
        """The supervisor, which is started when there is none."""
        if self.supervisor is None:
            self.supervisor = Supervisor(self.room)
            self.loop.hear(self.supervisor.fileno(), self.hear)
        return self.supervisor

    def start_foreign(self, part: Supervised) -> None:
        """Start a supervise that is not ours."""
        try:
            with self.room:
                part.pid = spawn(lambda: become_supervise(part.path), part.fds)
        except OSError as error:
            warn(b"unable to fork for " + part.path, error)
            return
        part.running = True

    # -- order -------------------------------------------------------------------------------
    def unready(self, service: Service) -> list[bytes]:
        """The services that *service* must wait for: named in its file `after`, and not ready."""
        names = names_after(service.name)
        if not names:
            return []
        there = {each.name: each for each in self.services.values() if each.seen == self.looks}
        waits = []
        for name in names:
            if name not in there:
                self.warn_once(service, b"%s waits for %s, which is not here" % (service.name, name))
                waits.append(name)
            elif service.name in self.all_before(name, there):
                self.warn_once(service, b"%s and %s wait for each other, so neither does" % (service.name, name))
            elif not is_ready(there[name].main):
                waits.append(name)
        return waits

    def all_before(self, name: bytes, there: Mapping[bytes, Service]) -> set[bytes]:
        """The services that *name* waits for, and those that these wait for, and so on."""
        found: set[bytes] = set()
        unseen = [name]
        while unseen:
            unseen = [each for which in unseen if which in there for each in names_after(which) if each not in found]
            found.update(unseen)
        return found

    def release(self) -> None:
        """Let those start that wait for nobody any more."""
        for service in self.services.values():
            part = service.main
            if not part.waiting or self.unready(service):
                continue
            if not part.running:
                self.start(part, waiting=False)
            elif command(part, RELEASED):
                part.waiting = False

    def warn_once(self, service: Service, what: bytes) -> None:
        if what not in service.warned:
            service.warned.add(what)
            say(b"svscan: warning: " + what)

    # -- hearing -----------------------------------------------------------------------------
    def hear(self) -> None:
        """Take note of what the supervisor tells."""
        for key, what, code in self.supervisor.news() if self.supervisor else []:
            part = self.parts.get(key)
            if part is None:
                continue
            if what == READY:
                part.ready = True
            elif what == UNREADY:
                part.ready = False
            else:
                part.gone()
                if what == ESSENTIAL:
                    self.essential = code
        self.release()

    def reap(self) -> bool:
        """Take note of every process that has ended, whoever started it; whether a supervise was killed."""
        killed = False
        while ended := wait_for_any():
            pid, status = ended
            if self.supervisor and pid == self.supervisor.pid:
                killed = self.lose_supervisor() or killed
            for service in self.services.values():
                for part in service.parts:
                    if part.pid == pid:
                        part.gone()
                        if os.WIFSIGNALED(status):
                            self.lost.append(service)
                            killed = True
        return killed

    def lose_supervisor(self) -> bool:
        """The supervisor is no more; whether it had something to watch."""
        assert self.supervisor
        self.hear()  # its last news
        self.loop.forget(self.supervisor.fileno())
        self.supervisor.close()
        self.supervisor = None
        self.lost += [
            service for service in self.services.values() if any(p.running and not p.pid for p in service.parts)
        ]
        for part in self.parts.values():
            if not part.pid:
                part.gone()
        return bool(self.lost)


def is_ready(part: Supervised) -> bool:
    """Whether the service is ready; of a foreign supervise we know only whether it is up."""
    if not part.pid:
        return part.ready
    try:
        record = slurp(part.path + b"/" + servicedir.STATUS)
        return servicedir.Status.parse(record or b"").pid != 0
    except (OSError, ValueError):
        return False


def names_after(name: bytes) -> list[bytes]:
    """The names in the file `after` of the service *name*; a word behind `#` is a remark."""
    try:
        content = slurp(name + b"/" + settings.AFTER) or b""
    except OSError as error:
        warn(b"unable to read %s/%s" % (name, settings.AFTER), error)
        return []
    return [word for line in content.splitlines() for word in line.partition(b"#")[0].split()]


def command(part: Supervised, letters: bytes) -> bool:
    """Write commands to the supervise of *part*; whether it is there."""
    try:
        fd = servicedir.open_writer(part.path + b"/" + servicedir.CONTROL)
        if fd is None:
            return False
        try:
            os.write(fd, letters)
        finally:
            os.close(fd)
    except OSError as error:
        warn(b"unable to control " + part.path, error)
        return False
    return True


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


def become_supervise(path: bytes) -> int:
    """In the child: become a supervise that is not ours, for NAME or NAME/log."""
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
