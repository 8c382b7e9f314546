"""Which service a supervisor is about to start, in memory that outlives it: it shares that with svscan.

A ./run that is there and whose number is not yet on disk would be unknown to the next supervisor.  So the supervisor
makes a mark before it starts one, and takes it away when the number is on disk.  When it is killed in between, svscan
finds the process: an orphan of our session that was started in that moment.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

from supervise.tree.state import process_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

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

    def left(self, known: Container[int]) -> tuple[int, int]:
        """What was being started when the supervisor died: the key of the service, and its process; 0 for none.

        Args:
            known: processes that are something else.
        """
        key, since = RECORD.unpack(self.memory[:])
        return key, orphan(since, known) if key else 0

    def close(self) -> None:
        """Need it no longer."""
        self.memory.close()


def ticks() -> int:
    """The clock that the kernel gives processes their start from."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def orphan(since: int, known: Container[int]) -> int:
    """The one process that has lost its parent and was started *since* then, in our session or its own; or 0."""
    session, heirs = os.getsid(0), ancestors()
    found = []
    for name in os.listdir(b"/proc"):
        stat = process_file(b"/proc/%b/stat" % name) if name.isdigit() and int(name) not in known else None
        if stat:
            fields = stat.rpartition(b")")[2].split()  # from the third on
            parent, its_session, start = int(fields[1]), int(fields[3]), int(fields[19])
            if start >= since and parent in heirs and its_session in (session, int(name)) and fields[0] not in b"ZX":
                found.append(int(name))
    return found[0] if len(found) == 1 else 0


def ancestors() -> set[int]:
    """Those who can inherit an orphan of our children: ourselves, our parent, and so on."""
    found = set()
    pid = os.getpid()
    while pid:
        found.add(pid)
        stat = process_file(b"/proc/%d/stat" % pid)
        pid = int(stat.rpartition(b")")[2].split()[1]) if stat else 0
    return found
