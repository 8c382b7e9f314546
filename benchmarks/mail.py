#!/usr/bin/env python3
"""Mail through whole systems, side by side: SMTP into one Maildir, and SMTP through a relay into a sink.

    benchmarks/mail.py [--messages 2000] [--sessions 20] [--size 4096] [--rounds 3]
                       [--c-qmail /var/qmail] [--postfix] [--trace 200] [--only local,relay]

Needs root, the qmail users (`qmail-setup --users`), and smtp-source and smtp-sink of Postfix.  Every round
runs each system once, one after another, so that ratios compare runs of the same minutes.  A run counts only
when every message arrived exactly once and the queue is empty.  With --trace, that many more messages are sent
one by one while strace counts the system calls of all processes of the system.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from systems import RECIPIENT, CQmail, Postfix, Pyqmail, System, free_port, until
from tables import spread
from usage import FORKS, counted

SYNCS = ("fsync", "fdatasync", "sync", "syncfs")


@contextlib.contextmanager
def sink(port: int) -> Iterator[Path]:
    """A mail sink that keeps each message in a file."""
    with tempfile.TemporaryDirectory(prefix="sink-") as folder:
        os.chmod(folder, 0o777)
        process = subprocess.Popen(
            ["smtp-sink", "-u", "nobody", "-d", f"{folder}/%H%M%S.", f"127.0.0.1:{port}", "1000"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Path(folder)
        finally:
            process.terminate()
            process.wait()


def run_once(system: System, workload: str, wish: argparse.Namespace) -> dict[str, float]:
    """Send the messages, wait until all have arrived, check that each did once."""
    with sink(system.sink_port) as sunk:
        where = system.maildir / "new" if workload == "local" else sunk
        system.start()
        try:
            system.wait_for_queue()
            send_one(system, RECIPIENT[workload])
            until(lambda: count(where) == 1 and not system.queued(), 60, f"{system.name}: the first message")
            empty(where)
            cpu, began = system.cpu(), time.monotonic()
            subprocess.run(
                [
                    "smtp-source",
                    "-s",
                    str(wish.sessions),
                    "-m",
                    str(wish.messages),
                    "-l",
                    str(wish.size),
                    "-f",
                    "sender@client.example",
                    "-t",
                    RECIPIENT[workload],
                    f"127.0.0.1:{system.port}",
                ],
                check=True,
            )
            accepted = time.monotonic()
            until(lambda: count(where) >= wish.messages, 300, f"{system.name}: {workload}: all messages")
            delivered = time.monotonic()
            cpu = system.cpu() - cpu
            memory = system.memory()
            until(lambda: not system.queued(), 60, f"{system.name}: an empty queue")
            if count(where) != wish.messages:
                raise SystemExit(f"mail.py: {system.name}: {count(where)} messages arrived of {wish.messages}")
            empty(where)
            figures = {
                "delivered/s": wish.messages / (delivered - began),
                "accepted/s": wish.messages / (accepted - began),
                "CPU ms/message": 1000 * cpu / wish.messages,
                "PSS MiB": memory,
            }
            if wish.trace:
                figures |= trace(system, workload, where, wish.trace)
            return figures
        finally:
            system.stop()


def trace(system: System, workload: str, where: Path, messages: int) -> dict[str, float]:
    """System calls per message, one message at a time, of every process of the system."""
    with counted(system.processes()) as calls:
        for number in range(messages):
            send_one(system, RECIPIENT[workload])
            until(lambda number=number: count(where) > number, 60, f"{system.name}: a traced message")  # type: ignore[misc]
        until(lambda: not system.queued(), 60, f"{system.name}: an empty queue")
    empty(where)
    return {
        "forks/message": sum(calls.get(name, 0) for name in FORKS) / messages,
        "execs/message": calls.get("execve", 0) / messages,
        "fsyncs/message": sum(calls.get(name, 0) for name in SYNCS) / messages,
        "calls/message": sum(calls.values()) / messages,
    }


def send_one(system: System, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", system.port, timeout=60) as client:
        client.sendmail("sender@client.example", [recipient], "Subject: one\r\n\r\n" + "x" * 76 + "\r\n")


def count(folder: Path) -> int:
    return len(os.listdir(folder))


def empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        os.unlink(entry)


def show(workload: str, systems: list[str], runs: list[dict[str, dict[str, float]]]) -> None:
    """A table: the median of the rounds with its range, and the ratio to the first system round by round."""
    print(f"\n### {workload}\n")
    names = list(runs[0][systems[0]])
    print("| system | " + " | ".join(names) + " | delivered/s, ratio to " + systems[0] + " |")
    print("| --- |" + " --- |" * (len(names) + 1))
    for system in systems:
        cells = [spread([run[system][name] for run in runs]) for name in names]
        ratios = [run[system]["delivered/s"] / run[systems[0]]["delivered/s"] for run in runs]
        print(f"| {system} | " + " | ".join(cells) + f" | {spread(ratios)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trace", type=int, default=0, metavar="MESSAGES")
    parser.add_argument("--only", default="local,relay")
    parser.add_argument("--c-qmail", type=Path, metavar="HOME", help="a C qmail installed there, put beside ours")
    parser.add_argument("--postfix", action="store_true", help="Debian's Postfix beside ours")
    wish = parser.parse_args()
    if os.geteuid():
        raise SystemExit("mail.py: needs root")
    for workload in wish.only.split(","):
        runs: list[dict[str, dict[str, float]]] = []
        names: list[str] = []
        for _ in range(wish.rounds):
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                scratch = Path(folder)
                scratch.chmod(0o755)
                systems: list[System] = [Pyqmail(scratch, free_port())]
                if wish.c_qmail:
                    systems.insert(0, CQmail(scratch, free_port(), wish.c_qmail))
                if wish.postfix:
                    systems.append(Postfix(scratch, free_port()))
                names = [system.name for system in systems]
                runs.append({system.name: run_once(system, workload, wish) for system in systems})
        show(workload, names, runs)


if __name__ == "__main__":
    main()
