"""Which service a supervisor is about to start, in memory that outlives it: it shares that with svscan.

A ./run that is there and whose number is not yet on disk would be unknown to the next supervisor.  So the supervisor
makes a mark before it starts one, and takes it away when the number is on disk.  When it is killed in between, svscan
finds the process: an orphan of our session that was started in that moment, in the service's folder.

When svscan is killed too, that memory is gone.  So the same moment stands in the file `supervise/lock`, which is empty
at all other times: machine's boot, clock tick, session.  The next supervise, whoever runs it, reads it there.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

from supervise.files import slurp
from supervise.tree.servicedir import LOCK
from supervise.tree.state import identity, process_file, this_boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import TypeAlias

    Orphan: TypeAlias = "tuple[int, bytes] | None"  # a process and its identity

RECORD = struct.Struct("<qq")  # the key of a service, 0 for none; when, in ticks since the machine's boot
NONE = RECORD.pack(0, 0)
TICKS = os.sysconf("SC_CLK_TCK")  # a second


class Mark:
    """A mark that forked processes share."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, RECORD.size)

    def begin(self, key: int) -> None:
        """The service *key* is about to be started."""
        self.memory[:] = RECORD.pack(key, ticks())

    def end(self) -> None:
        """Whatever has been started is on disk."""
        self.memory[:] = NONE

    def left(self) -> tuple[int, int]:
        """The key of the service that was being started when the supervisor died, and since when; 0 for none."""
        key, since = RECORD.unpack(self.memory[:])
        return key, since

    def close(self) -> None:
        """Need it no longer."""
        self.memory.close()


def ticks() -> int:
    """The clock that the kernel gives processes their start from."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def begin_in(lock: int) -> None:
    """Write to the file *lock* that the service is about to be started.

    Raises:
        OSError: there is no room for that.
    """
    os.ftruncate(lock, 0)
    os.write(lock, b"%s %d %d\n" % (this_boot() or b"-", ticks(), os.getsid(0)))


def left_in_lock() -> Orphan:
    """The ./run that a supervise which is dead has started in the folder that we stand in, and not announced."""
    words = (slurp(LOCK) or b"").split()
    if len(words) != 3 or words[0] != this_boot() or not (words[1] + words[2]).isdigit():
        return None
    found = orphans(int(words[1]), {os.getpid()}, int(words[2]))
    return identified([each for each in found if is_in(each[1], b".")])


def orphan(since: int, known: Container[int], folder: bytes) -> Orphan:
    """The process that has lost its parent and was started *since* then, in our session or its own.

    Args:
        since: in ticks since the machine's boot.
        known: processes that are something else.
        folder: where it was started; of several processes, the first one there is it.
    """
    found = orphans(since, known, os.getsid(0))
    return identified([each for each in found if is_in(each[1], folder)] or (found if len(found) == 1 else []))


def orphans(since: int, known: Container[int], session: int) -> list[tuple[int, int]]:
    """Start and number of those who have lost their parent and were started *since* then, in *session* or their own."""
    heirs = ancestors()
    found = []
    for name in os.listdir(b"/proc"):
        stat = process_file(b"/proc/%b/stat" % name) if name.isdigit() and int(name) not in known else None
        if stat:
            fields = stat.rpartition(b")")[2].split()  # from the third on
            parent, its_session, start = int(fields[1]), int(fields[3]), int(fields[19])
            if start >= since and parent in heirs and its_session in (session, int(name)) and fields[0] not in b"ZX":
                found.append((start, int(name)))
    return found


def identified(found: list[tuple[int, int]]) -> Orphan:
    """The first one that was started of those *found*."""
    pid = min(found)[1] if found else 0
    process = identity(pid)
    return (pid, process) if process else None


def is_in(pid: int, folder: bytes) -> bool:
    """Whether *folder* is the working directory of *pid*."""
    try:
        return os.path.samefile(b"/proc/%d/cwd" % pid, folder)
    except OSError:
        return False


def ancestors() -> set[int]:
    """Those who can inherit an orphan of our children: ourselves, our parent, and so on, and process 1."""
    found = {1}  # which is no ancestor of who has entered a container from outside
    pid = os.getpid()
    while pid:
        found.add(pid)
        stat = process_file(b"/proc/%d/stat" % pid)
        pid = int(stat.rpartition(b")")[2].split()[1]) if stat else 0
    return found
