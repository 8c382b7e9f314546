"""Workers that are used again: forked once, privileges dropped once, one job after another.

A parent (tcpserver, qmail-queued, the spawners) hands a job to an idle worker, or has one forked by the pool's
nursery when none is idle.  What a job finds and what becomes of it is told in `supervise.worker`.  When a job uses
its worker up, the parent sees no difference but the fork for the next job.

Parent and worker speak over a socket that keeps messages apart.  Parent to worker: the numbers that each descriptor is
to have and the job's payload, with the descriptors attached.  Worker to parent: four bytes, the job's wait status.  The
parent believes nothing else of a worker, which may run as somebody who is not trusted.
"""

from __future__ import annotations

import array
import errno
import marshal
import os
import select
import signal
import socket
import time

from supervise.nursery import Gone, Nursery
from supervise.worker import LARGEST, STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping


class Worker:
    """What the parent knows of one worker."""

    __slots__ = ("channel", "idle_since", "job", "jobs", "key", "pid")

    def __init__(self, pid: int, channel: socket.socket, key: Hashable) -> None:
        self.pid, self.key = pid, key
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
        prepare: what a new worker does first, given the key that it is to serve: become
            somebody, change folder.
        limit: how many workers may exist; more only while all of them are at work.
        idle: seconds after which an idle worker is let go.
        jobs: after how many jobs a worker is replaced.
        stays: the nursery is there from now on, as who we are now, and believes us no keys.
        waits: while fewer workers than this are at work, one whose job is a foreign program waits for it, to be used
            again; beyond that it becomes the program, which takes less memory.
        renew: done in the nursery before a worker is born, which inherits what comes of it; see `renewed`.
    """

    def __init__(
        self,
        work: Callable[[bytes], int],
        prepare: Callable[[Hashable], object] = lambda key: None,
        *,
        limit: int = 100,
        idle: float = 30.0,
        jobs: int = 1000,
        stays: bool = False,
        waits: int = 0,
        renew: Callable[[], int] = lambda: 0,
    ) -> None:
        self.work, self.prepare, self.limit, self.idle, self.most_jobs = work, prepare, limit, idle, jobs
        self.epoll = select.epoll()
        self.nursery: Nursery | None = None  # there while there are workers, and a little longer
        self.channels: dict[int, Worker] = {}  # by descriptor
        self.workers: dict[int, Worker] = {}  # by pid; those that live
        self.resting: dict[Hashable, list[Worker]] = {}  # by key, the one used last at the end
        self.busy = 0
        self.empty_since = 0.0  # when the last worker went
        self.stays, self.waits, self.renew = stays, waits, renew
        if stays:
            self._nursery()

    def fileno(self) -> int:
        return self.epoll.fileno()

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self.workers)

    # -- giving out work ---------------------------------------------------------------
    def begin(self, payload: bytes, fds: Mapping[int, int], job: object, key: Hashable = None) -> int:
        """Give a job to a worker and return the worker's pid.

        Args:
            payload: handed to `work`.
            fds: which of our descriptors the job finds under which number; ours stay open here.
            job: comes back in `Ended`.
            key: workers are used again only for jobs of the same key; numbers, bytes and tuples of them.

        Raises:
            OSError: no worker can be made now.
        """
        numbers: dict[int, list[int]] = {}  # a descriptor that the job finds twice goes over the channel once
        for number, fd in fds.items():
            numbers.setdefault(fd, []).append(number)
        message = marshal.dumps(([*numbers.values()], payload, self.busy < self.waits))
        if len(message) > LARGEST:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        resting = self.resting.get(key)
        while resting:
            worker = resting.pop()
            try:
                self._send(worker, message, numbers)
            except OSError:  # it died while idle
                self._part_with(worker)
                continue
            break
        else:
            if self.count >= self.limit:
                self._let_go_oldest()
            worker = self._bear(key)
            try:
                self._send(worker, message, numbers)
            except OSError:  # without the job it ends as if all were well, so nothing may be read from its status
                self._part_with(worker)
                raise
        worker.job = job if job is not None else worker
        self.busy += 1
        return worker.pid

    def renewed(self) -> int:
        """What `renew` gives in the nursery now; used as a key, it keeps jobs from workers that were born before.

        Raises:
            OSError: the nursery is dead.
        """
        return self._nursery().renewed()

    def _send(self, worker: Worker, message: bytes, fds: Iterable[int]) -> None:
        assert worker.channel is not None
        attached = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        worker.channel.sendmsg([message], [attached], socket.MSG_NOSIGNAL)

    def _bear(self, key: Hashable) -> Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            pid = self._nursery().bear(key, theirs)
        worker = self.workers[pid] = self.channels[ours.fileno()] = Worker(pid, ours, key)
        self.epoll.register(ours.fileno(), select.EPOLLIN)
        return worker

    def _nursery(self) -> Nursery:
        if self.nursery is None:
            self.nursery = Nursery(self.work, self.prepare, not self.stays, self.renew)
            self.epoll.register(self.nursery.fileno(), select.EPOLLIN)
        return self.nursery

    # -- hearing of ends ---------------------------------------------------------------
    def ended(self) -> list[Ended]:
        """The jobs that ended since the last call; never blocks."""
        ends: list[Ended] = []
        for fd, _ in self.epoll.poll(0):
            if self.nursery and fd == self.nursery.fileno():
                ends += self._hear_of_deaths(self.nursery)
            elif fd in self.channels:
                ends += self._hear(self.channels[fd])
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
        end = self._end(worker, status)
        worker.jobs += 1
        if worker.jobs >= self.most_jobs:
            self._part_with(worker)
        else:
            worker.idle_since = time.monotonic()
            self.resting.setdefault(worker.key, []).append(worker)
        return end

    def _end(self, worker: Worker, status: int) -> Ended:
        end = Ended(worker.job, worker.pid, status)
        worker.job = None
        self.busy -= 1
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
        del self.channels[channel.fileno()]
        self.epoll.unregister(channel.fileno())
        channel.close()

    def _hear_of_deaths(self, nursery: Nursery) -> list[Ended]:
        try:
            deaths = nursery.deaths()
        except Gone:
            return self._lose_nursery()
        return [end for pid, status in deaths if pid in self.workers for end in self._bury(self.workers[pid], status)]

    def _bury(self, worker: Worker, status: int) -> list[Ended]:
        """*worker* is dead: its last words, or what the system says of its end, if it was at work."""
        ends = self._hear(worker) if worker.channel and worker.job is not None else []
        self._part_with(worker)
        del self.workers[worker.pid]
        if not self.workers:
            self.empty_since = time.monotonic()
            if not self.most_jobs:  # dismissed
                self._close_nursery()
        return ends if worker.job is None else [*ends, self._end(worker, status)]

    def _lose_nursery(self) -> list[Ended]:
        """The nursery was killed: whoever is at work counts as killed too, since nobody will tell us of its end."""
        self._close_nursery()
        return [end for worker in list(self.workers.values()) for end in self._bury(worker, signal.SIGKILL)]

    def _close_nursery(self) -> None:
        if self.nursery:
            self.epoll.unregister(self.nursery.fileno())
            self.nursery.close()
            self.nursery = None

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
        if self.nursery and not self.workers and not self.stays:
            left = self.empty_since + self.idle - now
            if left > 0:
                return left
            self._close_nursery()
        return soonest

    def _let_go_oldest(self) -> None:
        oldest = min((r[0] for r in self.resting.values() if r), key=lambda w: w.idle_since, default=None)
        if oldest:
            self._part_with(oldest)

    def dismiss(self) -> None:
        """Let every idle worker go; those at work, and the nursery, go when their job is over."""
        for resting in list(self.resting.values()):
            while resting:
                self._part_with(resting[-1])
        self.most_jobs = 0
        if not self.workers:
            self._close_nursery()

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to every worker that is at work."""
        for worker in self.workers.values():
            if worker.job is not None:
                try:
                    os.kill(worker.pid, number)
                except ProcessLookupError:  # its death is on its way to us
                    pass
