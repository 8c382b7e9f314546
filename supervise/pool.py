"""Workers that are used again: forked once, privileges dropped once, one job after another.

A parent (tcpserver, qmail-queued, the spawners) hands a job to an idle worker, or forks
one when none is idle.  A job finds what exec would have given it: the descriptors named
for it, and the environment, folder and umask that the worker was born with.  When it is
over, the worker puts all of that back and closes what the job left open, so nothing of
one job reaches the next.

A job whose program is not ours, or may not run twice in one process, uses the worker up:
the worker becomes that program, and the program's end is the job's end.  The parent sees
no difference but the fork for the next job.

The two speak over a socket that keeps messages apart.  Parent to worker: the descriptors'
numbers and the job's payload, with the descriptors attached.  Worker to parent: four bytes,
the job's wait status.  The parent believes nothing else of a worker, which may run as
somebody who is not trusted.
"""

from __future__ import annotations

import array
import errno
import fcntl
import gc
import marshal
import os
import resource
import select
import signal
import socket
import struct
import time

from supervise.command import Become, say
from supervise.errors import TEMPORARY, Trouble
from supervise.program import close_all_but, find, ordinary_signals, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from supervise.command import Argv

STATUS = struct.Struct("<I")
LARGEST = 1 << 17  # bytes of a payload; an environment or a command line fits
HIGH = 64  # a worker's own descriptors live from here up, out of the way of every job's, where the limit allows
GROWTH = 16 << 10  # KiB that a worker may grow by before it is replaced
DESCRIPTORS = 8  # that one job may bring
SIGNALS = [n for n in signal.valid_signals() if n < signal.SIGRTMIN and n not in (signal.SIGKILL, signal.SIGSTOP)]


class Worker:
    """What the parent knows of one worker."""

    __slots__ = ("channel", "idle_since", "job", "jobs", "key", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, channel: socket.socket, key: Hashable) -> None:
        self.pid, self.pidfd, self.key = pid, pidfd, key
        self.channel: socket.socket | None = channel  # None: it has become another program, or is going
        self.job: object = None
        self.jobs = 0
        self.idle_since = 0.0


class Ended:
    """One job's end: its *job* as given to `begin`, the worker's *pid*, the wait *status*."""

    __slots__ = ("job", "pid", "status")

    def __init__(self, job: object, pid: int, status: int) -> None:
        self.job, self.pid, self.status = job, pid, status


class Pool:
    """Workers of one kind, some idle, some at work.

    Poll `fileno()` for reading and call `ended()`; call `rest()` now and then.

    Args:
        work: what a worker does with a job's payload; it returns the exit code, and may
            raise `Become` to use the worker up.
        limit: how many workers may exist; more only while all of them are at work.
        idle: seconds after which an idle worker is let go.
        jobs: after how many jobs a worker is replaced.
    """

    def __init__(self, work: Callable[[bytes], int], limit: int = 100, idle: float = 30.0, jobs: int = 1000) -> None:
        self.work, self.limit, self.idle, self.most_jobs = work, limit, idle, jobs
        self.epoll = select.epoll()
        self.watched: dict[int, Worker] = {}  # by channel and by pidfd
        self.resting: dict[Hashable, list[Worker]] = {}  # by key, the one used last at the end
        self.count = 0
        self.busy = 0
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # inherited; the system would eat the wait statuses
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def fileno(self) -> int:
        return self.epoll.fileno()

    # -- giving out work ---------------------------------------------------------------
    def begin(
        self,
        payload: bytes,
        fds: Mapping[int, int],
        job: object,
        key: Hashable = None,
        prepare: Callable[[], object] | None = None,
    ) -> int:
        """Give a job to a worker and return the worker's pid.

        Args:
            payload: handed to `work`.
            fds: which of our descriptors the job finds under which number; ours stay open here.
            job: comes back in `Ended`.
            key: workers are used again only for jobs of the same key.
            prepare: what a new worker for this key does first: drop privileges, change folder.

        Raises:
            OSError: no worker can be made now.
        """
        message = marshal.dumps((tuple(fds), payload))
        if len(message) > LARGEST:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        resting = self.resting.get(key)
        while resting:
            worker = resting.pop()
            try:
                self._send(worker, message, fds)
            except OSError:  # it died while idle
                self._part_with(worker)
                continue
            break
        else:
            if self.count >= self.limit:
                self._let_go_oldest()
            worker = self._fork(key, prepare)
            try:
                self._send(worker, message, fds)
            except OSError:  # without the job it ends as if all were well, so nothing may be read from its status
                self._part_with(worker)
                raise
        worker.job = job if job is not None else worker
        self.busy += 1
        return worker.pid

    def _send(self, worker: Worker, message: bytes, fds: Mapping[int, int]) -> None:
        assert worker.channel is not None
        attached = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds.values()))
        worker.channel.sendmsg([message], [attached], socket.MSG_NOSIGNAL)

    def _fork(self, key: Hashable, prepare: Callable[[], object] | None) -> Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            gc.freeze()
            pid = os.fork()
            if pid == 0:
                _live(theirs, prepare, self.work)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            ours.close()  # which ends it
            os.waitpid(pid, 0)
            raise
        worker = Worker(pid, pidfd, ours, key)
        for fd in ours.fileno(), pidfd:
            self.watched[fd] = worker
            self.epoll.register(fd, select.EPOLLIN)
        self.count += 1
        return worker

    # -- hearing of ends ---------------------------------------------------------------
    def ended(self) -> list[Ended]:
        """The jobs that ended since the last call; never blocks."""
        ends: list[Ended] = []
        for fd, _ in self.epoll.poll(0):
            worker = self.watched.get(fd)
            if worker is not None:
                ends += self._bury(worker) if fd == worker.pidfd else self._hear(worker)
        return ends

    def _hear(self, worker: Worker) -> list[Ended]:
        """What *worker* says on its channel: the end of its job, or that it says no more."""
        assert worker.channel is not None
        try:
            answer = worker.channel.recv(16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            answer = b""
        if len(answer) == STATUS.size and worker.job is not None:
            return [self._done(worker, STATUS.unpack(answer)[0])]
        self._part_with(worker)  # dead, or another program by now, or out of its mind
        return []

    def _done(self, worker: Worker, status: int) -> Ended:
        end = Ended(worker.job, worker.pid, status)
        worker.job = None
        worker.jobs += 1
        self.busy -= 1
        if worker.jobs >= self.most_jobs:
            self._part_with(worker)
        else:
            worker.idle_since = time.monotonic()
            self.resting.setdefault(worker.key, []).append(worker)
        return end

    def _part_with(self, worker: Worker) -> None:
        """No more jobs for *worker*: close its channel, which ends it when it is idle."""
        channel = worker.channel
        if channel is None:
            return
        worker.channel = None
        resting = self.resting.get(worker.key, [])
        if worker in resting:
            resting.remove(worker)
        self._forget(channel.fileno())
        channel.close()

    def _bury(self, worker: Worker) -> list[Ended]:
        """*worker* is dead: its last words, or what the system says of its end, if it was at work."""
        ends = self._hear(worker) if worker.channel and worker.job is not None else []
        self._part_with(worker)
        self._forget(worker.pidfd)
        os.close(worker.pidfd)
        self.count -= 1
        try:
            status = os.waitpid(worker.pid, 0)[1]
        except ChildProcessError:  # somebody else has buried it
            status = TEMPORARY << 8
        if worker.job is None:
            return ends
        self.busy -= 1
        return [Ended(worker.job, worker.pid, status)]

    def _forget(self, fd: int) -> None:
        del self.watched[fd]
        self.epoll.unregister(fd)

    # -- shrinking -----------------------------------------------------------------------
    def rest(self) -> float | None:
        """Let workers go that have been idle for long; seconds until there may be more, None when none is idle."""
        now = time.monotonic()
        soonest: float | None = None
        for key, resting in list(self.resting.items()):
            while resting and resting[0].idle_since + self.idle <= now:
                self._part_with(resting[0])
            if not resting:
                del self.resting[key]
            else:
                left = resting[0].idle_since + self.idle - now
                soonest = left if soonest is None else min(soonest, left)
        return soonest

    def _let_go_oldest(self) -> None:
        oldest = min((r[0] for r in self.resting.values() if r), key=lambda w: w.idle_since, default=None)
        if oldest:
            self._part_with(oldest)

    def dismiss(self) -> None:
        """Let every idle worker go; those at work go when their job is over."""
        for resting in list(self.resting.values()):
            while resting:
                self._part_with(resting[-1])
        self.most_jobs = 0

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to every worker that is at work."""
        for fd, worker in self.watched.items():
            if fd == worker.pidfd and worker.job is not None:
                signal.pidfd_send_signal(worker.pidfd, number)


# -- the worker's side ---------------------------------------------------------------------


def _live(channel: socket.socket, prepare: Callable[[], object] | None, work: Callable[[bytes], int]) -> None:
    """Be a worker until the parent closes the channel; never returns."""
    code = TEMPORARY
    try:
        ordinary_signals()
        inherited = channel.detach()
        close_all_but({0, 1, 2, inherited})
        own = lift(inherited)
        os.close(inherited)
        if prepare:
            prepare()
        code = _serve(socket.socket(fileno=own), Birth(own), work)
    except Trouble as trouble:
        say(b"worker: fatal: " + trouble.line)
        code = trouble.code
    except BaseException as bug:  # nothing may unwind into the parent's code
        say(b"worker: bug: " + repr(bug).encode())
    finally:
        os._exit(code & 0xFF)


def high() -> int:
    """The lowest number for a worker's own descriptors: `HIGH`, or less under a tight limit."""
    return min(HIGH, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def lift(fd: int) -> int:
    """A second descriptor for what *fd* is, out of the way."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, high())


class Birth:
    """What a worker was born with, and goes back to after each job."""

    def __init__(self, channel: int) -> None:
        self.environment = dict(os.environb)
        self.umask = os.umask(0o77)
        os.umask(self.umask)
        self.signals = {number: signal.getsignal(number) for number in SIGNALS}
        self.standard = [lift(fd) for fd in (0, 1, 2)]
        self.folder = self._folder()
        self.own = {0, 1, 2, channel, *self.standard} | ({self.folder} if self.folder is not None else set())

    def _folder(self) -> int | None:
        """The folder we stand in; None when we may not enter it, as somebody who was put here by root."""
        try:
            fd = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        lifted = lift(fd)
        os.close(fd)
        return lifted

    def again(self) -> bool:
        """Put everything back; False: it cannot be, and the worker must not be used again."""
        try:
            self._stop_signals()
            for fd, saved in enumerate(self.standard):
                os.dup2(saved, fd)
            close_all_but(self.own)
            os.umask(self.umask)
            if self.folder is None:
                return False
            os.fchdir(self.folder)
            self._restore_environment()
        except OSError:
            return False
        return no_child_left()

    def _stop_signals(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(-1)
        for number, action in self.signals.items():
            if signal.getsignal(number) is not action:
                signal.signal(number, action or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _restore_environment(self) -> None:
        if os.environb.copy() == self.environment:
            return
        for name in [name for name in os.environb if name not in self.environment]:
            del os.environb[name]
        os.environb.update(self.environment)


def no_child_left() -> bool:
    """Bury the children that a job left; False when one of them still lives."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _serve(channel: socket.socket, birth: Birth, work: Callable[[bytes], int]) -> int:
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while True:
        message, attached, _, _ = socket.recv_fds(channel, LARGEST, DESCRIPTORS)
        if not message:
            return 0
        targets, payload = marshal.loads(message)
        if len(attached) != len(targets):  # we have no room for more descriptors
            return TEMPORARY
        _take(dict(zip(targets, attached, strict=True)))
        try:
            code = work(payload)
        except Become as change:  # used up; who waits for us waits for what we become
            return run(change.argv, change.path, change.name, change.code)
        reusable = birth.again()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
        if not reusable or grown > GROWTH:
            return code
        try:
            channel.send(STATUS.pack((code & 0xFF) << 8), socket.MSG_NOSIGNAL)
        except OSError:  # the parent is gone
            return code


def _take(fds: dict[int, int]) -> None:
    """Move the descriptors that came with a job to where it expects them."""
    lifted = {want: lift(have) for want, have in fds.items()}
    for have in fds.values():
        os.close(have)
    for want, have in lifted.items():
        os.dup2(have, want)
        os.close(have)


def run_again(argv: Argv, path: bytes | None = None) -> int:
    """Run *argv* in a worker: here, if it is ours and may run again in one process, else by becoming it.

    What it becomes itself is treated alike, so a chain such as `rblsmtpd qmail-smtpd`
    does not use the worker up.

    Raises:
        Become: the worker is used up.
    """
    following = Become(argv, path)
    while (command := find(following.argv[0], following.path)) and command.again:
        try:
            return command(following.argv)
        except Become as change:
            following = change
            following.name = command.name
    raise following
