"""qmail-queue - put a message into the queue

Usage: qmail-queue < message 1< envelope

qmail-queue reads a message from descriptor 0 and then its envelope from
descriptor 1, and queues it.  When it exits 0 the message is safely on disk and
will be delivered or bounced; else nothing is queued.

The envelope is the letter F, the sender's address, a NUL; then, for each
recipient, the letter T, an address, a NUL; then a NUL.  An address has at most
1002 bytes.  qmail-queue puts a Received line on top of the message and
changes nothing else in it.

qmail-queue has no special rights.  It passes its two descriptors to
qmail-queued, and waits for the answer.  When no qmail-queued is running and
the queue is the caller's own, or the caller is root, it does the work itself.

Exit status:
    0    accepted
    11   an address is too long
    51   out of memory
    52   not complete within 24 hours
    53   the disk is full, or a write failed
    54   the message or the envelope cannot be read, or ends too early
    61   trouble with the home
    62   trouble with the queue, or no qmail-queued is running and we may not write there
    63, 64, 65, 66  trouble with pid, mess, intd, todo
    71   qmail-queued has too many submissions of this user
    81   internal bug, or qmail-queued died
    91   the envelope is malformed
    111  something else, for now

Environment:
    QMAILHOME  the home; /var/qmail by default

See also: qmail-queued, qmail-inject, qmail-send
"""

from __future__ import annotations

import os
import signal

from mta.home import home
from mta.queue import codes, handover
from supervise.command import Argv, command, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from types import TracebackType

MESSAGE, ENVELOPE = 0, 1

# A caller's terminal going away, or its limits, must not break off a message half way.
DEAF = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXCPU, signal.SIGXFSZ)


@command(b"qmail-queue", again=True)
def main(argv: Argv) -> int:
    with deaf():
        connection = handover.connect()
        return by_ourselves() if connection is None else by_server(connection)


def by_server(connection: socket) -> int:
    """Let the server do it; its exit code."""
    with connection:
        try:
            handover.hand_over(connection, MESSAGE, ENVELOPE)
        except OSError:
            return codes.READ
        answer = handover.answer(connection)
    return codes.BUG if answer is None else answer[0]


def by_ourselves() -> int:
    """Write the queue as its owner, whom root can be too; the exit code."""
    from mta.queue.enqueue import enqueue
    from mta.queue.received import origins

    try:
        os.chdir(home())
    except OSError:
        return codes.HOME
    try:
        os.chdir(b"queue")
    except PermissionError:
        return alone()
    except OSError:
        return codes.QUEUE
    queue = os.stat(b".")
    with acting_as(queue.st_uid, queue.st_gid):
        if os.geteuid() != queue.st_uid:
            return alone()
        return enqueue(MESSAGE, ENVELOPE, os.getuid(), origins())


def alone() -> int:
    """We may not write the queue, and nobody does it for us: say so, since no code of the original's does."""
    say(b"qmail-queue: fatal: qmail-queued does not answer on %s/run/submit" % home())
    return codes.QUEUE


class deaf:
    """Ignore the signals in DEAF for the block."""

    def __enter__(self) -> None:
        self.before = {number: signal.signal(number, signal.SIG_IGN) for number in DEAF}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, action in self.before.items():
            signal.signal(number, action)


class acting_as:
    """Root acts as another user for the block; everybody else stays who they are."""

    def __init__(self, uid: int, gid: int) -> None:
        self.uid, self.gid = uid, gid

    def __enter__(self) -> None:
        self.root = os.geteuid() == 0 != self.uid
        if self.root:
            self.own_gid, self.own_groups = os.getegid(), os.getgroups()
            os.setgroups([])
            os.setegid(self.gid)
            os.seteuid(self.uid)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.root:
            os.seteuid(0)
            os.setegid(self.own_gid)
            os.setgroups(self.own_groups)
