"""What commands and process trees use, and how nothing of them is left."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

BIN = Path(sys.executable).parent  # of our commands
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORKS = ("fork", "vfork", "clone", "clone3")
MOMENT = 0.02  # seconds from one look to the next


class Usage(NamedTuple):
    """What one command used: *seconds* by the clock and of *cpu*, and the MiB that it had resident at its *peak*."""

    seconds: float
    cpu: float
    peak: float


def run(command: list[str], **options: Any) -> Usage:
    """Run *command* to its end; its memory is looked at every moment, so the peak of a very short run is not seen.

    Args:
        options: as for `subprocess.Popen`.

    Raises:
        SystemExit: it failed.
    """
    began, peak = time.monotonic(), 0
    process = subprocess.Popen(command, **options)
    ended = os.pidfd_open(process.pid)
    while True:
        peak = high_water(process.pid) or peak
        if select.select([ended], [], [], MOMENT)[0]:
            break
    seconds = time.monotonic() - began
    os.close(ended)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return Usage(seconds, used.ru_utime + used.ru_stime, peak / 2**20)


def high_water(pid: int) -> int:
    """The most bytes that *pid* had resident since its exec; 0 when it has ended.

    The `ru_maxrss` of a child will not do: it counts what the child shared with us before its exec.
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * 1024 if found else 0


def cpu(processes: list[psutil.Process]) -> float:
    """Seconds of CPU that *processes* used so far, to the nanosecond; what their ended children used is not in it."""
    return sum(int(Path(f"/proc/{each.pid}/schedstat").read_text().split()[0]) for each in processes) / 1e9


def memory(processes: list[psutil.Process]) -> float:
    """Proportional memory of *processes*, in MiB."""
    return sum(each.memory_full_info().pss for each in processes) / 2**20


def allow_descriptors() -> None:
    """Have as many descriptors as we may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_of_all(main: psutil.Process) -> float:
    """Seconds of CPU that *main* and all below it used so far, their ended children included."""
    total = 0.0
    for process in (main, *main.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextlib.contextmanager
def counted(processes: list[psutil.Process]) -> Iterator[dict[str, int]]:
    """Count system calls while the block runs, those of *processes* and of all that they start; by name, after it."""
    words = [word for process in processes for word in ("-p", str(process.pid))]
    calls: dict[str, int] = {}
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as out:
        strace = subprocess.Popen(["strace", "-f", "-c", "-o", out.name, *words], stderr=subprocess.PIPE)
        assert strace.stderr
        for _ in processes:
            strace.stderr.readline()  # "Process N attached"
        yield calls
        strace.send_signal(signal.SIGINT)
        strace.communicate()
        for line in out:
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if found and found[2] != "total":
                calls[found[2]] = calls.get(found[2], 0) + int(found[1])


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a benchmark; at its end, however that comes, neither the folder nor a process is left."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)  # who loses its parent becomes our child, so that we find it
    for number in ENDS:
        signal.signal(number, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            yield Path(folder)
        finally:
            for number in ENDS:
                signal.signal(number, signal.SIG_IGN)
            stop_all()


def stop_all() -> None:
    """Kill every process that was started here, parents before their children, and wait until none is left."""
    while family := psutil.Process().children(recursive=True):
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(MOMENT)
