"""The nursery: a quiet process that forks workers for a pool and tells how they ended.

A forked child shares its parent's memory until one of the two writes.  A busy parent writes all the time,
if only to count references, and so leaves to every child a copy of what it touches between two forks: twice
the memory of a worker.  The nursery is forked once from the parent, does nothing but fork, and keeps nearly all
its memory shared with the workers.

Over one socket the parent sends a key with one descriptor attached, the worker's channel; the nursery answers
with the worker's pid, or 0, and an error number, or 0.  What new workers are to inherit and the parent may not have,
like keys that only the nursery may read, `renew` keeps up to date: before each birth, and when the parent asks for
its number.  Over another socket it tells of each worker that ended: its pid and
its wait status.  It ends when the parent closes its side, or dies.  It never was a worker and serves nobody, so the
parent may believe it.
"""

from __future__ import annotations

import errno
import gc
import marshal
import os
import select
import signal
import socket
import struct

from supervise.command import say
from supervise.loop import Signals
from supervise.program import close_all_but, ordinary_signals
from supervise.worker import live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

NOTE = struct.Struct("<ii")
ASK = b"?"  # in a key's place, for the number that `renew` gives
KEY = 4096  # bytes of a key


class Gone(Exception):
    """The nursery is dead."""


class Nursery:
    """The parent's side.

    Args:
        work: what workers do with a job.
        prepare: what a new worker does first, given its key.
        keyed: whether there are keys. A nursery that has more rights than its parent must not take any from it.
        renew: done in the nursery; its number grows when workers born before should not be used again.
    """

    def __init__(
        self,
        work: Callable[[bytes], int],
        prepare: Callable[[Hashable], object],
        keyed: bool = True,
        renew: Callable[[], int] = lambda: 0,
    ) -> None:
        self.births, births = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ends, ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with births, ends:
            self.pid = os.fork()
            if self.pid == 0:
                prepared = (lambda key: prepare(marshal.loads(key))) if keyed else lambda key: prepare(None)
                nurse(births, ends, work, prepared, renew)

    def fileno(self) -> int:
        """Readable when `deaths` has something to tell."""
        return self.ends.fileno()

    def bear(self, key: Hashable, channel: socket.socket) -> int:
        """Have a worker forked that serves *key* and hears of its jobs over *channel*; its pid.

        Raises:
            OSError: the system has no room for it now, or the nursery is dead.
        """
        socket.send_fds(self.births, [marshal.dumps(key)], [channel.fileno()])  # type: ignore[arg-type]  # numbers, bytes, tuples
        return self._answer()

    def renewed(self) -> int:
        """The number that `renew` gives now.

        Raises:
            OSError: the nursery is dead.
        """
        self.births.send(ASK)
        return self._answer()

    def _answer(self) -> int:
        note = self.births.recv(NOTE.size)
        if len(note) != NOTE.size:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        number, obstacle = NOTE.unpack(note)
        if obstacle:
            raise OSError(obstacle, os.strerror(obstacle))
        return int(number)

    def deaths(self) -> list[tuple[int, int]]:
        """(pid, wait status) of the workers that ended since the last call; never blocks.

        Raises:
            Gone: the nursery is dead, and all of its notes are read.
        """
        found = []
        try:
            while note := self.ends.recv(NOTE.size, socket.MSG_DONTWAIT):
                found.append(NOTE.unpack(note))
        except BlockingIOError:
            return found
        except ConnectionError:
            pass
        if not found:
            raise Gone
        return found

    def close(self) -> None:
        """Let the nursery go; workers that live go on."""
        self.births.close()
        self.ends.close()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:  # somebody else has buried it
            pass


# -- the nursery's side --------------------------------------------------------------------


def nurse(
    births: socket.socket,
    ends: socket.socket,
    work: Callable[[bytes], int],
    prepare: Callable[[bytes], object],
    renew: Callable[[], int],
) -> None:
    """Be the nursery until the parent is gone; never returns."""
    try:
        ordinary_signals()
        close_all_but({0, 1, 2, births.fileno(), ends.fileno()})
        signals = Signals(signal.SIGCHLD)
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection would write to what is shared
        untold: list[bytes] = []  # notes of ends that found no room
        poll = select.poll()
        poll.register(births, select.POLLIN)
        poll.register(signals, select.POLLIN)
        while True:
            poll.register(ends, select.POLLOUT if untold else 0)
            ready = dict(poll.poll())
            if ready.get(ends.fileno(), 0) & ~select.POLLOUT:  # the parent is gone
                break
            signals.arrived()
            tell_ends(ends, untold)
            if births.fileno() in ready and not bear_one(births, work, prepare, renew):
                break
    except OSError:  # nobody hears us any more
        pass
    except BaseException as bug:  # nothing may unwind into the parent's code
        say(b"nursery: bug: " + repr(bug).encode())
    finally:
        os._exit(0)


def bear_one(
    births: socket.socket,
    work: Callable[[bytes], int],
    prepare: Callable[[bytes], object],
    renew: Callable[[], int],
) -> bool:
    """Fork one worker as the parent wishes, and answer; False: the parent is gone."""
    key, attached, _, _ = socket.recv_fds(births, KEY, 1)
    if not key:
        return False
    number = renew()
    if key == ASK:
        births.send(NOTE.pack(number, 0))
        return True
    pid, obstacle = 0, 0 if attached else errno.EMFILE
    if attached:
        try:
            pid = os.fork()
        except OSError as error:
            obstacle = error.errno or errno.EAGAIN
        else:
            if pid == 0:
                live(attached[0], lambda: prepare(key), work)
        os.close(attached[0])
    births.send(NOTE.pack(pid, obstacle))
    return True


def tell_ends(ends: socket.socket, untold: list[bytes]) -> None:
    """Bury the workers that have ended, and tell; what the parent has no room for stays in *untold*."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            untold.append(NOTE.pack(pid, status))
    except ChildProcessError:
        pass
    try:
        while untold:
            ends.send(untold[0], socket.MSG_DONTWAIT)
            del untold[0]
    except BlockingIOError:
        pass
