"""A scratch tree of services, and whoever watches it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from commands import BIN, Result, run, start
from until import until

DEBIAN = Path("/usr/bin")  # Debian's daemontools, the original
SLEEP = "exec sleep 1000\n"


class Tree:
    """Service directories below *folder*, and the processes started on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def service(self, name: str, script: str = SLEEP, *, down: bool = False, log: str | None = None) -> Path:
        """Make a service whose ./run is the shell *script*; with a *log*, that is its log's."""
        place = self.folder / name
        if log is not None:
            self.service(name + "/log", log)
        place.mkdir(parents=True, exist_ok=True)
        if down:
            (place / "down").touch()
        (place / "run").write_text("#!/bin/sh\n" + script)
        (place / "run").chmod(0o755)
        return place

    def start(self, *argv: str | Path, env: Mapping[str, str | None] | None = None) -> subprocess.Popen[bytes]:
        """Start a svscan or a supervise in our folder."""
        process = start(*argv, env=env, cwd=self.folder, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def svc(self, options: str, *places: Path, bin: Path = BIN) -> None:
        assert run(bin / "svc", options, *places) == Result(0, b"", b"")

    def end(self) -> None:
        """Stop everything; services are taken away first, so that nobody starts them again."""
        for place in list(self.folder.iterdir()):
            if not place.name.startswith("."):
                place.rename(place.with_name("." + place.name))
        places = [file.parent for file in self.folder.rglob("run")]
        linked = [place.resolve() for place in self.folder.iterdir() if place.is_symlink()]
        places += [each for place in linked for each in (place, place / "log") if (each / "supervise").is_dir()]

        def ended() -> bool:
            run(BIN / "svc", "-dkx", *places)  # each time: after ./run there may be a ./finish to be killed
            places[:] = [place for place in places if running(place)]
            return not places

        until(ended, seconds=60)
        for process in self.processes:
            process.terminate()
            process.wait(10)
            if process.stderr:
                process.stderr.close()


def running(place: Path) -> bool:
    """Whether a supervise watches *place*."""
    return run(DEBIAN / "svok" if (DEBIAN / "svok").exists() else BIN / "svok", place).code == 0


def pid_of(place: Path) -> int:
    """The process of the service in *place* as its status says; 0 when it is down or nobody has said anything."""
    try:
        return int.from_bytes((place / "supervise" / "status").read_bytes()[12:16], "little")
    except FileNotFoundError:
        return 0


def state(place: Path) -> dict[str, str]:
    """What `supervise/state` says of the service in *place*."""
    return dict(line.split(" ", 1) for line in (place / "supervise" / "state").read_text().splitlines())


def up(place: Path, other_than: int = 0) -> int:
    """Wait until the service in *place* is up; its process."""
    return until(lambda: (pid := pid_of(place)) != other_than and pid, what=f"{place} is not up")


def state_of(pid: int) -> str:
    """The state letter of a process, or nothing when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    return state_of(pid) in ("", "Z")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def title_of(pid: int) -> str:
    """What ps shows of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill(pid: int) -> None:
    """Kill a process for good."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
