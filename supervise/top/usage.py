"""What the processes of services use: processor time and memory.

A service is the process of its ./run and all below it.  The memory of a process is its resident set, which
counts what it shares with others in full: to know its fair part (PSS), the kernel would have to walk through all
its pages, which takes longer than all else that is shown.
"""

from __future__ import annotations

import time

import psutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST = 1.0  # seconds over which a rate is taken: processor time is counted in hundredths


class Usage:
    """Measures one time after another."""

    def __init__(self) -> None:
        self.last: dict[psutil.Process, tuple[float, float]] = {}  # process -> moment, processor time; in seconds

    def measure(self, pids: Iterable[int]) -> dict[int, tuple[float, int]]:
        """Processor time in percent of one processor, and memory in bytes, of each of *pids* with all below it.

        The rate is that since the last measure that was a second ago or more; of a process that was not measured
        then, since its start.
        A process that is not there is left out.
        """
        below: dict[int, list[psutil.Process]] = {}
        there: dict[int, psutil.Process] = {}
        for process in psutil.process_iter(["ppid"]):
            there[process.pid] = process
            below.setdefault(process.info["ppid"], []).append(process)
        measured: dict[psutil.Process, tuple[float, float]] = {}
        found = {}
        for pid in pids:
            if pid in there:
                found[pid] = self.sum_up(family(there[pid], below), measured)
        self.last = measured
        return found

    def sum_up(
        self, processes: list[psutil.Process], measured: dict[psutil.Process, tuple[float, float]]
    ) -> tuple[float, int]:
        """Rate and memory of *processes* together, as far as they are still there; what is *measured* is added."""
        rate, memory = 0.0, 0
        for process in processes:
            try:
                with process.oneshot():
                    times, size, born = process.cpu_times(), process.memory_info().rss, process.create_time()
            except psutil.Error:
                continue
            now, used = time.time(), times.user + times.system
            since, before = self.last.get(process, (born, 0.0))
            measured[process] = (now, used) if now - since >= SHORTEST else (since, before)
            rate += 100 * max(0.0, used - before) / max(now - since, SHORTEST)
            memory += size
        return rate, memory


def family(process: psutil.Process, below: dict[int, list[psutil.Process]]) -> list[psutil.Process]:
    """*process* and all processes below it."""
    found = [process]
    for each in found:
        found += [child for child in below.get(each.pid, ()) if child not in found]
    return found
