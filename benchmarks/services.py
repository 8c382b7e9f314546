#!/usr/bin/env python3
"""Trees of many services, side by side: svscan and supervise, runsvdir and runsv, s6-svscan and s6-supervise.

    benchmarks/services.py [--services 200] [--logs] [--rounds 5] [--seconds 20] [--kills 50] [--only SYSTEM ...]

Ours beside Debian's daemontools, runit and s6, as far as they are installed.  A service is a shell script that
writes its number and process id into a FIFO, says on descriptor 1 that it is up, and becomes `sleep`.  With --logs
each has a log/run that becomes `multilog t ./main`, and is up when its line is in the log; runit and s6, whose loggers
are others, are left out then.  Every round runs each system once, one after another, so that ratios compare runs of the
same minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import select
import shlex
import shutil
import signal
import statistics
import subprocess
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

import psutil
from tables import compare
from usage import BIN, cpu, memory, scratch, stop_all

PATIENCE = 60  # seconds
QUIET = 0.01  # of a core: what uses less has started
WHILE = 1.5  # seconds; supervise looks again a second after a start


class System(NamedTuple):
    """How a tree is started, and how the state of all services is shown by one command."""

    bin: Path
    scan: str  # begin of the command; the folder follows
    status: str  # begin of the command; the service directories follow
    logs: bool = False  # it has a multilog

    def path(self) -> str:
        """The search path, which finds the programs of this system and no other."""
        return f"{self.bin}:/usr/bin:/bin"

    def can(self, logs: bool) -> bool:
        """Whether it is installed, and has a multilog if *logs* are wished for."""
        return (self.bin / self.scan.split()[0]).exists() and self.logs >= logs


DEBIAN = Path("/usr/bin")
EACH = "sh -c 'for service; do s6-svstat \"$service\"; done' sh"  # which takes one only
SYSTEMS = {
    "daemontools": System(DEBIAN, "svscan", "svstat", logs=True),
    "pyqmail": System(BIN, "svscan", "svstat", logs=True),
    "runit": System(DEBIAN, "runsvdir", "sv status"),
    "s6": System(DEBIAN, "s6-svscan -c 1000", EACH),
}


class Tree:
    """A folder of services, and the processes that run them.

    Args:
        system: whose programs they are.
        folder: a new folder, for nothing else.
    """

    def __init__(self, system: System, folder: Path, services: int, logs: bool) -> None:
        self.system, self.folder = system, folder
        self.environment = {"PATH": system.path()}
        self.services = [folder / "service" / f"s{number:04}" for number in range(services)]
        self.currents = [service / "log" / "main" / "current" for service in self.services if logs]
        self.pids = [0] * services
        fifo = folder / "announce"
        folder.mkdir()
        os.mkfifo(fifo)
        self.fifo = os.open(fifo, os.O_RDWR)
        for number, service in enumerate(self.services):
            script(service / "run", f"echo {number} $$ >{fifo}\necho up\nexec sleep 1000000")
            if logs:
                script(service / "log" / "run", "exec multilog t ./main")

    def start(self) -> None:
        """Start all services; return when they are up."""
        with (self.folder / "output").open("wb") as output:
            command = [*self.system.scan.split(), str(self.folder / "service")]
            self.main = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
        while not all(self.pids):
            self.listen()
        missing = self.currents
        deadline = time.monotonic() + PATIENCE
        while missing := [file for file in missing if not (file.exists() and file.stat().st_size)]:
            if time.monotonic() > deadline:
                raise self.trouble(f"{len(missing)} logs are empty")
            time.sleep(0.005)

    def listen(self) -> None:
        """Take down who announces itself next."""
        if not select.select([self.fifo], [], [], PATIENCE)[0]:
            raise self.trouble(f"{self.pids.count(0)} services are not up")
        for line in os.read(self.fifo, 1 << 16).splitlines():
            number, pid = map(int, line.split())
            self.pids[number] = pid

    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.main.pid)
        return [main, *main.children(recursive=True)]

    def supervisors(self) -> list[psutil.Process]:
        """All processes but the services themselves."""
        return [process for process in self.processes() if process.pid not in self.pids]

    def settle(self) -> None:
        """Wait until starting has come to its end."""
        processes = self.processes()
        while True:
            before = cpu(processes)
            time.sleep(WHILE)
            if cpu(processes) - before < QUIET * WHILE:
                return

    def restart(self, number: int) -> float:
        """Kill a service; the seconds until another process announces itself in its place."""
        killed, old = time.monotonic(), self.pids[number]
        self.pids[number] = 0
        os.kill(old, signal.SIGKILL)
        while not self.pids[number]:
            self.listen()
        return time.monotonic() - killed

    def status(self) -> float:
        """Seconds for showing the state of all services by one command."""
        began = time.monotonic()
        command = [*shlex.split(self.system.status), *map(str, self.services)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        seconds = time.monotonic() - began
        if len(re.findall(rf"^.*\b(?:{'|'.join(map(str, self.pids))})\b.*$", done.stdout, re.M)) != len(self.services):
            raise self.trouble("not all services are shown as up")
        return seconds

    def remove(self) -> None:
        """Stop all processes; leave nothing behind."""
        stop_all()
        os.close(self.fifo)
        shutil.rmtree(self.folder)

    def trouble(self, what: str) -> SystemExit:
        said = (self.folder / "output").read_text(errors="replace")[-1000:]
        return SystemExit(f"services.py: {self.system.scan}: {what}; the last that was said:\n{said}")


def script(file: Path, lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)


def measure(tree: Tree, seconds: float, kills: int) -> dict[str, float]:
    """Let *tree* start, do nothing for so many *seconds*, and start again so many services that are killed."""
    began = time.monotonic()
    tree.start()
    up = time.monotonic() - began
    tree.settle()
    started, supervisors = cpu(tree.processes()), tree.supervisors()
    pss = memory(supervisors)
    idle, since = cpu(supervisors), time.monotonic()
    time.sleep(seconds)
    idle = (cpu(supervisors) - idle) / (time.monotonic() - since)
    status = tree.status()
    victims = random.Random(1).sample(range(len(tree.services)), min(kills, len(tree.services)))
    restarts = [tree.restart(number) for number in victims]
    return {
        "all up, s": up,
        "CPU to start, s": started,
        "CPU when idle, ms/min": idle * 60000,
        "restart, median, ms": statistics.median(restarts) * 1000,
        "restart, maximum, ms": max(restarts) * 1000,
        "state of all, ms": status * 1000,
        "PSS, MiB": pss,
        "PSS, MiB/service": pss / len(tree.services),
        "processes": len(supervisors),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=200)
    parser.add_argument("--logs", action="store_true", help="a multilog for each service")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20, help="of doing nothing")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    wish = parser.parse_args()
    systems = {name: each for name, each in SYSTEMS.items() if name in wish.only and each.can(wish.logs)}
    rows: dict[str, dict[str, list[float]]] = {}
    with scratch() as folder:
        for _, (name, system) in product(range(wish.rounds), systems.items()):
            tree = Tree(system, folder / name, wish.services, wish.logs)
            for figure, value in measure(tree, wish.seconds, wish.kills).items():
                rows.setdefault(figure, {}).setdefault(name, []).append(value)
            tree.remove()
    print(compare(f"{wish.services} services" + ", each with a log" * wish.logs, rows))


if __name__ == "__main__":
    main()
