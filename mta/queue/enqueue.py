"""The sequence that makes a message the queue's: from bytes on two descriptors to a name in todo.

Everybody here stands in the queue folder and owns it.  The steps, and what a crash after
each of them leaves (the states of `mta.queue.layout`):

    1. create pid/UNIQUE               a file that qmail-clean removes after 36 hours
    2. link it to mess/S/NUMBER        ARRIVING
    3. unlink pid/UNIQUE
    4. copy the message into it
    5. create intd/NUMBER, copy the envelope into it
    6. sync mess, intd, the folder mess/S
    7. link intd/NUMBER to todo/NUMBER QUEUED
    8. sync the folder todo            QUEUED, whatever happens
    9. pull lock/trigger, answer 0

"Accepted" means durable, so 0 is answered only when files and names would survive a loss of
power on an ordinarily mounted file system.  The original syncs only the files (it wants
folders to be written at once) and syncs the first before it writes the second.

Why the syncs stand where they do: on ext4 the expensive thing is not the call but the
journal's commit.  A commit takes along every name made so far, and every file whose blocks
are allocated, which normally happens only when that file itself is written out.  So both
files are written first, then the envelope's way to the disk is begun without waiting
(POSIX_FADV_DONTNEED does that), and the fsync of the message commits all of it; the next
two have nothing left to commit.  The link must come after that commit and needs a second
one.  Counted on ext4, for a message of 4 KB: 2 commits in this order, 3 without the early
beginning, 4 when each name is synced as it is made.  The original's two syncs are 2 commits
too, with the name in todo still to be lost.
"""

from __future__ import annotations

import os
import signal
import time

from mta.queue import codes, envelope, layout, received, trigger
from mta.queue.codes import Refused
from mta.queue.source import Source
from supervise import files
from supervise.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
UMASK = 0o033
TRIES = 10  # names that are tried in pid


def enqueue(
    message: int, addresses: int, uid: int, names: dict[int, bytes], pid: int | None = None, client: int | None = None
) -> int:
    """Queue one message; the exit code of qmail-queue: 0 when it is accepted, else one of `mta.queue.codes`.

    Args:
        message: descriptor to read the message from, to its end.
        addresses: descriptor to read the envelope from.
        uid: who submits.
        names: what some uids are called in the Received line (`received.origins`).
        pid: what the message is known by beside its number (`qp` in the log); by default our process id.
        client: a connection; when its other end closes, nobody waits for the answer any more.
    """
    os.umask(UMASK)
    pid = os.getpid() if pid is None else pid
    entry = Entry()
    try:
        with time_limit(layout.DEATH):
            entry.arrive()
            entry.copy_message(Source(message, client), received.line(pid, uid, names))
            entry.copy_envelope(Source(addresses, client), envelope.origin(uid, pid))
            entry.sync()
        entry.accept()
    except Refused as refused:
        entry.undo()
        return refused.code
    except MemoryError:
        entry.undo()
        return codes.MEMORY
    except Exception:
        entry.undo()
        return codes.BUG
    finally:
        entry.close()
    trigger.pull()
    return codes.OK


class Entry:
    """One message on its way in."""

    def __init__(self) -> None:
        self.number = 0
        self.message = self.envelope = -1
        self.made: list[bytes] = []  # what has to go again if we fail, last one first

    def arrive(self) -> None:
        """Steps 1 to 3: the message gets its number and its name."""
        with failing(codes.PID):
            draft, self.message = unique()
            self.made.append(draft)
            self.number = os.fstat(self.message).st_ino
        with failing(codes.MESS):
            files.link(draft, layout.mess(self.number), sync=False)
            self.made.append(layout.mess(self.number))
        with failing(codes.PID):
            os.unlink(draft)
            self.made.remove(draft)

    def copy_message(self, source: Source, line: bytes) -> None:
        """Step 4."""
        with failing(codes.WRITE):
            write_all(self.message, line)
        for data in source.chunks():
            with failing(codes.WRITE):
                write_all(self.message, data)

    def copy_envelope(self, source: Source, origin: bytes) -> None:
        """Step 5."""
        with failing(codes.INTD):
            self.envelope = os.open(layout.intd(self.number), NEW, 0o644)
            self.made.append(layout.intd(self.number))
        with failing(codes.WRITE):
            write_all(self.envelope, origin)
        envelope.copy(source.chunks(), self.envelope)

    def sync(self) -> None:
        """Step 6: on disk, in one commit."""
        with failing(codes.WRITE):
            os.posix_fadvise(self.envelope, 0, 0, os.POSIX_FADV_DONTNEED)
            os.fsync(self.message)
            os.fsync(self.envelope)
            files.sync_folder(os.path.dirname(layout.mess(self.number)))

    def accept(self) -> None:
        """Steps 7 and 8.  Once the link is made the message is qmail-send's, even if the sync fails."""
        with failing(codes.TODO):
            files.link(layout.intd(self.number), layout.todo(self.number), sync=False)
            self.made.clear()
            files.sync_folder(b"todo")

    def undo(self) -> None:
        """Remove what we made, the message last, so that there is never an envelope alone."""
        try:
            while self.made:
                os.unlink(self.made.pop())
        except OSError:  # it stays ARRIVING until somebody cleans up
            pass

    def close(self) -> None:
        """Let go of the files, whose fate is decided by now."""
        for fd in (self.message, self.envelope):
            if fd >= 0:
                try:
                    os.close(fd)
                except OSError:
                    pass


def unique() -> tuple[bytes, int]:
    """A new file in pid: its name and a descriptor."""
    for attempt in range(1, TRIES):
        name = b"pid/%d.%d.%d" % (os.getpid(), time.time(), attempt)
        try:
            return name, os.open(name, NEW, 0o644)
        except FileExistsError:
            pass
    raise Refused(codes.PID)


class failing:
    """A system call that fails in the block refuses the message with *code*."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise Refused(self.code) from None


class time_limit:
    """Refuse the message when the block takes longer than *seconds*."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self.over)
        signal.alarm(self.seconds)

    def over(self, number: int, frame: object) -> None:
        raise Refused(codes.TIMEOUT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.alarm(0)
