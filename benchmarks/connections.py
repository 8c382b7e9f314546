#!/usr/bin/env python3
"""Servers of connections, side by side: tcpserver and tcprules of ucspi-tcp, and ours.

    benchmarks/connections.py [--c-qmail HOME] [--connections 4000] [--rounds 5] [--trace 200] [--rules 1000000]
        [--idle 10000] [--only served,rules,idle]

* served: one client or 40 at a time on loopback, until all connections were served by qmail-smtpd (which greets, hears
  QUIT and answers) or by /bin/true, a program that knows no
  worker.  Without rules, and with 10,000 of them.  With --trace, so many more are served one by one while strace
  counts system calls.
* rules: tcprules compiles so many rules; and what one look-up costs that finds none but the last.
* idle: so many connections that were greeted and then say nothing are held at the same time; then one more client
  comes.  It takes 2 MB for each connection.

Debian's ucspi-tcp is put beside ours where it is installed, with the qmail-smtpd of the C qmail that is named.  Every
round runs each system once, one after another, so that ratios compare runs of the same minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import os
import select
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import psutil
from tables import compare
from usage import BIN, FORKS, allow_descriptors, counted, cpu_of_all, run, scratch

DEBIAN = Path("/usr/bin")
TRUE = "/bin/true"
SMTPD = "qmail-smtpd"
LOOKUPS = 20_000


class System(NamedTuple):
    """Where the programs of ucspi-tcp are, and those of qmail if there are any; *home* is qmail's."""

    tools: Path
    qmail: Path | None
    home: Path

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.qmail or self.tools}:{self.tools}:/usr/bin:/bin", "QMAILHOME": str(self.home)}


class Server:
    """A tcpserver on a port of loopback.

    Args:
        options: of tcpserver.
        program: what it runs.
    """

    def __init__(self, system: System, options: list[str], program: str) -> None:
        command = [system.tools / "tcpserver", "-RHl0", "-b1000", "-1", *options, "127.0.0.1", "0", program]
        self.process = subprocess.Popen(command, env=system.environment(), stdout=subprocess.PIPE)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.main = psutil.Process(self.process.pid)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()

    def serve(self, connections: int, clients: int, speaks: bool) -> None:
        """Have so many connections served for *clients* that come at the same time.

        Args:
            speaks: the server speaks SMTP; else it says nothing, and ends.

        Raises:
            SystemExit: a connection was not served as it should be.
        """
        poll = select.epoll()
        talks: dict[int, Client] = {}
        while connections or talks:
            while connections and len(talks) < clients:
                client = Client(self.port, speaks)
                poll.register(client.socket, select.EPOLLIN)
                talks[client.socket.fileno()] = client
                connections -= 1
            for fd, _ in poll.poll():
                if talks[fd].hear():
                    talks.pop(fd).socket.close()


class Client:
    """A connection on loopback to *port*, of one who leaves as soon as the server has greeted."""

    def __init__(self, port: int, speaks: bool) -> None:
        self.socket = socket.socket()
        self.socket.connect(("127.0.0.1", port))
        self.expected = [b"220 ", b"221 "] if speaks else []

    def hear(self) -> bool:
        """Hear what the server says next; whether that was all."""
        heard = self.socket.recv(512)
        if not heard and not self.expected:
            return True
        if not self.expected or not heard.startswith(self.expected.pop(0)):
            raise SystemExit(f"connections.py: the server says {heard!r}")
        if self.expected:
            self.socket.sendall(b"QUIT\r\n")
        return False


Figure = tuple[str, str, float]  # the table that it belongs to, its row there, and what was measured


def served(system: System, wish: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    """What it costs to serve connections."""
    rules = folder / "rules.cdb"
    text = b"".join(b'10.%d.%d.:allow,NUMBER="%d"\n' % (n >> 8, n & 255, n) for n in range(10_000)) + b":allow\n"
    subprocess.run([system.tools / "tcprules", rules, folder / "rules.tmp"], input=text, check=True)
    programs = [SMTPD] * bool(system.qmail) + [TRUE]
    for program, options, clients in product(programs, ([], ["-x", str(rules)]), (1, 40)):
        label = f"{program}, {'10,000 rules' if options else 'no rules'}, {clients} client{'s' * (clients > 1)}"
        speaks = program == SMTPD
        connections = wish.connections // (2 if clients == 1 else 1)
        with Server(system, ["-c200", *options], program) as server:
            server.serve(4 * clients, clients, speaks)
            cpu, began = cpu_of_all(server.main), time.monotonic()
            server.serve(connections, clients, speaks)
            seconds = time.monotonic() - began
            yield "connections/s", label, connections / seconds
            yield "CPU, us each", label, (cpu_of_all(server.main) - cpu) / connections * 1e6
            if wish.trace and clients == 1:
                with counted([server.main, *server.main.children(recursive=True)]) as calls:
                    server.serve(wish.trace, 1, speaks)
                yield "system calls each", label, sum(calls.values()) / wish.trace
                yield "forks each", label, sum(calls.get(name, 0) for name in FORKS) / wish.trace


def rules(system: System, wish: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    """What it costs to compile many rules."""
    source, made = folder / "source", folder / "rules.cdb"
    with source.open("wb") as text:
        for n in range(wish.rules):
            text.write(b'10.%d.%d.%d:allow,RELAYCLIENT="",NUMBER="%d"\n' % (n >> 16, n >> 8 & 255, n & 255, n))
    with source.open("rb") as text:
        used = run([str(system.tools / "tcprules"), str(made), str(folder / "rules.tmp")], stdin=text)
    yield "tcprules", "rules/s", wish.rules / used.seconds
    yield "tcprules", "peak, MiB", used.peak
    first = folder.parent / "first.cdb"  # of whoever was first; all files must be the same
    if not first.exists():
        os.link(made, first)
    if not filecmp.cmp(made, first, shallow=False):
        raise SystemExit("connections.py: the files of two systems differ")
    if system.tools == BIN:
        yield "tcprules", "a look-up, us", look_up(made)


def look_up(made: Path) -> float:
    """Microseconds that tcpserver needs to open *made*, to look for a client that has no rule, and to close it."""
    from ucspi.cdb import Cdb
    from ucspi.rules.rules import decide

    began = time.monotonic()
    for _ in range(LOOKUPS):
        cdb = Cdb.open(os.fsencode(made))
        assert cdb
        decide(cdb, b"192.0.2.1", None, None)
        cdb.close()
    return (time.monotonic() - began) / LOOKUPS * 1e6


def idle(system: System, wish: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    """What it costs to hold connections that do nothing."""
    if not system.qmail:
        return
    with Server(system, [f"-c{wish.idle + 100}"], SMTPD) as server, contextlib.ExitStack() as held:
        server.serve(100, 4, speaks=True)
        free, began = psutil.virtual_memory().available, time.monotonic()
        clients = [held.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(wish.idle)]
        for client in clients:
            client.recv(512)
        table = f"{wish.idle} idle connections"
        yield table, "opened/s", wish.idle / (time.monotonic() - began)
        yield table, "memory, KiB each", (free - psutil.virtual_memory().available) / wish.idle / 1024
        waits = []
        for _ in range(100):
            began = time.monotonic()
            server.serve(1, 1, speaks=True)
            waits.append(time.monotonic() - began)
        yield table, "a new client meanwhile, median, ms", statistics.median(waits) * 1000


PARTS = {"served": served, "rules": rules, "idle": idle}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--c-qmail", type=Path, metavar="HOME", help="a C qmail installed there, for its qmail-smtpd")
    parser.add_argument("--connections", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trace", type=int, default=0, metavar="CONNECTIONS")
    parser.add_argument("--rules", type=int, default=1_000_000)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--only", default="served,rules", metavar="PART,...")
    wish = parser.parse_args()
    allow_descriptors()
    tables: dict[str, dict[str, dict[str, list[float]]]] = {}
    with scratch() as folder:
        home = folder / "home"
        (home / "control").mkdir(parents=True)
        (home / "control" / "me").write_text("bench.example\n")
        systems = {"pyqmail": System(BIN, BIN, home)}
        if (DEBIAN / "tcpserver").exists():
            theirs = wish.c_qmail and wish.c_qmail / "bin"
            systems = {"ucspi-tcp": System(DEBIAN, theirs, wish.c_qmail or home), **systems}
        for part, _, (name, system) in product(wish.only.split(","), range(wish.rounds), systems.items()):
            own = folder / name
            own.mkdir(exist_ok=True)
            for table, label, figure in PARTS[part](system, wish, own):
                tables.setdefault(table, {}).setdefault(label, {}).setdefault(name, []).append(figure)
    print("\n\n".join(compare(table, rows) for table, rows in tables.items()))


if __name__ == "__main__":
    main()
