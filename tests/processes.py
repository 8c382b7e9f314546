"""What running processes have and use."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil


def descendants(pid: int, title: str = "") -> list[int]:
    """The processes below *pid* whose titles begin with *title*."""
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process.pid for process in found if title_of(process).startswith(title)]


def title_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def talks_to(pid: int, port: int) -> bool:
    """Whether a process has a TCP connection to *port*."""
    try:
        return any(each.raddr and each.raddr.port == port for each in psutil.Process(pid).net_connections())
    except psutil.NoSuchProcess:
        return False


def has_open(pid: int, file: Path) -> bool:
    """Whether a process has a file open, under whatever name."""
    return any(os.path.samefile(fd, file) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.exists())


def peak(pid: int) -> int:
    """The most memory that a process has had in use at once, in bytes, what it shares included."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return int(found[1]) * 1024


def share(pid: int) -> int:
    """The memory of a process in bytes, of what it shares with others its proportional share (PSS)."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) * 1024
