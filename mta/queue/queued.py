"""qmail-queued - the submission server: queue messages for those who may not write the queue

Usage: qmail-queued [-c limit]

qmail-queued listens on the socket run/submit in the home, takes a message and
an envelope from each client as two descriptors, queues the message and answers
with qmail-queue's exit code.  No program has to be setuid.  It is a service of
its own, so that mail can be submitted while qmail-send is down.

It runs as the owner of the queue: qmailq, or a plain user in that user's own
instance.  Started by root it becomes the owner.  One qmail-queued runs in a
home.

A client that connects and says nothing keeps nobody else waiting and is cut
off after 10 seconds.  One that stops half way through a message is given up
after 24 hours.  So that such clients cannot keep everybody out, a user other
than root, alias, qmaild, qmails and the queue's owner can have a quarter of
the limit under way, and 100 more submissions that wait; all these users
together can have three quarters, and 400 that wait.  Further ones are refused
for now (exit code 71).

Each message gets a number, as each qmail-queue has a process id: `qp` in the log
of qmail-send, the number in the message's Received line, and what qmail-smtpd
tells its client.  It counts up from the process id of qmail-queued.

Options:
    -c limit  how many submissions may be under way at once; 100 by default

Signals:
    TERM  take no more submissions, wait up to 10 seconds for those under way, and exit 0;
          what takes longer is finished all the same, by processes of its own, beside the next qmail-queued

Exit status:
    0    stopped by TERM
    100  wrong usage
    111  it cannot run, or another one runs already

Environment:
    QMAILHOME  the home; /var/qmail by default

Files:
    run/submit       the socket, open to everybody
    run/submit.lock  held while qmail-queued runs
    queue            the queue

See also: qmail-queue, qmail-send, supervise
"""

from __future__ import annotations

import itertools
import os
import resource
import select
import signal
import socket
import struct
import time

from mta.home import enter
from mta.queue import codes, handover
from mta.queue.enqueue import enqueue
from mta.queue.received import origins
from supervise import files
from supervise.account import become
from supervise.command import Argv, command, say
from supervise.errors import Temporary, Usage
from supervise.loop import Signals
from supervise.options import options
from supervise.pool import Pool

ADDRESS = handover.FOLDER + b"/" + handover.NAME
DRAFT = ADDRESS + b".new"
LOCK = ADDRESS + b".lock"

LIMIT = 100  # submissions at once
SILENCE = 10  # seconds for a client to say something
PARTING = 10  # seconds from TERM to our end; a client that dawdles must not keep the next server from starting
WAITING = 100  # submissions of one user that wait
ROOM = 500  # clients that wait, all in all
GUESTS = ROOM - WAITING  # of them, those of users who are not trusted
AT_ONCE = 64  # clients that are let in before anything else is looked at
BACKLOG = 4096  # connections that the kernel keeps for us, if it is allowed to
PAUSE = 0.1  # seconds to wait when the machine is out of something

PEER = struct.Struct("3i")  # SO_PEERCRED: pid, uid, gid


@command(b"qmail-queued", b"[-c limit]")
def main(argv: Argv) -> int:
    limit = limit_of(argv)
    enter()
    become_owner()
    lock = lock_out_others()
    listener = listen()
    Server(listener, limit, origins(b"queue")).serve()
    os.close(lock)
    return 0


def limit_of(argv: Argv) -> int:
    """What -c says."""
    found, rest = options(argv, b"c:")
    values = [value for _, value in found]
    if rest or not all(value.isdigit() and int(value) for value in values):
        raise Usage
    return int(values[-1]) if values else LIMIT


def become_owner() -> None:
    """Be the owner of the queue from here on, with a folder run of ours."""
    try:
        queue = os.stat(b"queue")
    except OSError as error:
        raise Temporary(b"unable to look at queue", error) from None
    if os.geteuid() not in (0, queue.st_uid):
        raise Temporary(b"queue belongs to uid %d" % queue.st_uid)
    try:
        os.mkdir(handover.FOLDER, 0o755)
        os.chown(handover.FOLDER, queue.st_uid, queue.st_gid)
    except FileExistsError:
        pass
    except OSError as error:
        raise Temporary(b"unable to make " + handover.FOLDER, error) from None
    if os.geteuid() != queue.st_uid:
        become(queue.st_uid, queue.st_gid)


def lock_out_others() -> int:
    """Make sure that we are the only one; the descriptor that holds the lock."""
    try:
        return files.lock(LOCK, wait=False)
    except BlockingIOError:
        raise Temporary(b"another qmail-queued is running") from None
    except OSError as error:
        raise Temporary(b"unable to lock " + LOCK, error) from None


def listen() -> socket.socket:
    """The socket, which gets its name when it listens, in place of one that a dead server left."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    mask = os.umask(0o111)
    try:
        remove_address(DRAFT)
        listener.bind(DRAFT)
        listener.listen(BACKLOG)
        files.rename(DRAFT, ADDRESS)
    except OSError as error:
        raise Temporary(b"unable to listen on " + ADDRESS, error) from None
    finally:
        os.umask(mask)
    return listener


def remove_address(name: bytes) -> None:
    """Take the socket's *name* away, so that nobody new comes."""
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass


class Client:
    """Somebody who wants to submit a message."""

    __slots__ = ("connection", "since", "uid")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.uid: int = PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))[1]
        self.since = time.monotonic()

    def refuse(self, code: int) -> None:
        """Answer without having done anything."""
        with self.connection as connection:
            try:
                answer(connection, code)
            except OSError:  # it is gone
                pass


class Server:
    """The parent: it accepts, and workers do the rest.

    A client is *silent* until its byte with the descriptors is there, then it *waits* for
    a worker, then it is the worker's.
    """

    def __init__(self, listener: socket.socket, limit: int, names: dict[int, bytes]) -> None:
        self.listener: socket.socket | None = listener
        self.limit = limit
        self.trusted = {0, os.geteuid(), *names}
        self.pool = Pool(lambda payload: submission(payload, names), limit=limit)
        self.serials = itertools.count(os.getpid() + 1)
        self.signals = Signals(signal.SIGTERM)
        self.silent: dict[int, Client] = {}  # by descriptor, the oldest first
        self.waiting: list[Client] = []
        self.working: dict[int, int] = {}  # by uid
        self.end = 0.0  # when we leave at the latest, once we are to leave
        self.poll = select.poll()
        for source in (listener, self.pool, self.signals):
            self.poll.register(source, select.POLLIN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def serve(self) -> None:
        """Serve until TERM."""
        heard = {self.pool.fileno(): self.settle, self.signals.fileno(): self.leave}
        if self.listener:
            heard[self.listener.fileno()] = self.accept
        while self.listener or (self.occupied() and time.monotonic() < self.end):
            for fd, _ in self.poll.poll(self.patience()):
                if fd in self.silent:
                    self.waiting.append(self.spoken(fd))
                elif fd in heard:
                    heard[fd]()
            self.cut_off()
            self.begin()
            if self.listener:
                self.poll.modify(self.listener, select.POLLIN if self.room() else 0)
        self.pool.dismiss()

    def occupied(self) -> bool:
        """Whether anybody is here."""
        return bool(self.silent or self.waiting or self.pool.busy)

    def patience(self) -> float | None:
        """Milliseconds until something is due without anybody's doing."""
        moments = [self.end] if self.listener is None else []
        if self.silent:
            moments.append(next(iter(self.silent.values())).since + SILENCE)
        waits = [max(0.0, moment - time.monotonic()) for moment in moments]
        if (rest := self.pool.rest()) is not None:
            waits.append(rest)
        return min(waits) * 1000 + 1 if waits else None

    # -- clients -----------------------------------------------------------------------------
    def room(self) -> bool:
        """Whether one more may wait."""
        return len(self.silent) + len(self.waiting) < ROOM

    def accept(self, most: int = AT_ONCE) -> None:
        """Let in who is at the door, as long as there is room.

        No more than *most*, or somebody who knocks without end would keep us at the door for ever.
        """
        for _ in range(most):
            if not self.listener or not self.room():
                return
            try:
                client = Client(self.listener.accept()[0])
            except BlockingIOError:
                return
            except OSError as error:
                say(b"qmail-queued: warning: unable to accept: " + os.strerror(error.errno or 0).encode())
                time.sleep(PAUSE)
                return
            if self.crowding(client.uid):
                client.refuse(codes.BUSY)
            else:
                self.silent[client.connection.fileno()] = client
                self.poll.register(client.connection, select.POLLIN)

    def crowding(self, uid: int) -> bool:
        """Whether *uid* has as many clients that wait as a user may have, or all like it have too many together."""
        if uid in self.trusted:
            return False
        guests = [client.uid for client in (*self.silent.values(), *self.waiting) if client.uid not in self.trusted]
        return len(guests) >= GUESTS or guests.count(uid) >= WAITING

    def spoken(self, fd: int) -> Client:
        """The silent client of descriptor *fd*, silent no more."""
        self.poll.unregister(fd)
        return self.silent.pop(fd)

    def cut_off(self) -> None:
        """Drop those who have been silent for too long."""
        latest = time.monotonic() - SILENCE
        for fd in [fd for fd, client in self.silent.items() if client.since <= latest]:
            self.spoken(fd).connection.close()

    # -- workers -----------------------------------------------------------------------------
    def admits(self, uid: int) -> bool:
        """Whether *uid* may have one more worker."""
        if uid in self.trusted:
            return True
        quarter = self.limit // 4
        guests = sum(number for user, number in self.working.items() if user not in self.trusted)
        return self.working.get(uid, 0) < max(1, quarter) and guests < self.limit - quarter

    def begin(self) -> None:
        """Give workers to those who wait, first come, first served."""
        for client in list(self.waiting):
            if self.pool.busy >= self.limit:
                return
            if self.admits(client.uid):
                self.waiting.remove(client)
                self.begin_one(client)

    def begin_one(self, client: Client) -> None:
        try:
            self.pool.begin(b"%d %d" % (client.uid, next(self.serials)), {0: client.connection.fileno()}, client)
        except OSError as error:
            say(b"qmail-queued: warning: unable to start a worker: " + os.strerror(error.errno or 0).encode())
            client.refuse(codes.BUSY)
            return
        client.connection.close()
        self.working[client.uid] = self.working.get(client.uid, 0) + 1

    def settle(self) -> None:
        """Hear which submissions are over."""
        for end in self.pool.ended():
            assert isinstance(end.job, Client)
            self.working[end.job.uid] -= 1
            if not self.working[end.job.uid]:
                del self.working[end.job.uid]
            if os.WIFSIGNALED(end.status):
                say(b"qmail-queued: warning: worker %d died of signal %d" % (end.pid, os.WTERMSIG(end.status)))

    def leave(self) -> None:
        """TERM: who came in time is served, nobody else."""
        self.signals.arrived()
        if self.listener is None:
            return
        remove_address(ADDRESS)
        self.accept(BACKLOG)
        self.poll.unregister(self.listener)
        self.listener.close()
        self.listener = None
        self.end = time.monotonic() + PARTING


# -- the worker's side -------------------------------------------------------------------------


def submission(payload: bytes, names: dict[int, bytes]) -> int:
    """Queue the message of the client on descriptor 0; *payload* says who that is and what the message's `qp` is."""
    uid, pid = map(int, payload.split())
    connection = socket.socket(fileno=0)
    try:
        _, fds, _, _ = socket.recv_fds(connection, 1, 2)
        answer(connection, queue_one(fds, uid, names, pid), pid)
    except OSError:  # the client is gone, it does not matter
        pass
    finally:
        connection.detach()
    return 0


def queue_one(fds: list[int], uid: int, names: dict[int, bytes], pid: int) -> int:
    """Queue the message and the envelope on *fds*, in the queue that the home has now; the code to answer."""
    if len(fds) != 2:
        return codes.READ
    try:
        enter(b"queue")  # for each message, as the original: the queue may be another one, copied or restored
    except Temporary:
        return codes.QUEUE
    return enqueue(fds[0], fds[1], uid, names, pid, client=0)


def answer(connection: socket.socket, code: int, pid: int = 0) -> None:
    """Tell the client."""
    connection.send(b"%d %d\n" % (code, pid), socket.MSG_NOSIGNAL)
