#!/usr/bin/env python3
"""Forwarding tables, side by side: making one, printing it, looking addresses up.

    benchmarks/forwards.py [--aliases 100000] [--messages 200] [--rounds 5]

Ours beside Debian's fastforward.  An address is looked up by the command alone, as a user starts it, and as the line of
a .qmail file, in a process that delivers one message after another as a worker of qmail-lspawn does.  Every round runs
each system once, one after another, so that ratios compare runs of the same minutes.  A run counts only when both make
the same table and every look-up says what it should.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

from tables import compare
from usage import BIN, scratch

from mta.local.delivery import run

SYSTEMS = {"fastforward": Path("/usr/bin"), "pyqmail": BIN}
OPTION = "-n"  # the address is looked up, and the message stays where it is


def user(number: int) -> str:
    return f"user{number}@domain{number % 97}.example"


def write_instructions(file: Path, count: int) -> None:
    """Write instructions for *count* addresses."""
    file.write_text("".join(f"{user(n)}: &target{n}@elsewhere{n % 13}.example, other{n};\n" for n in range(count)))


class Tables:
    """A folder with instructions, and the tables that are made of them.

    Args:
        count: how many addresses there are.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.instructions = folder / "instructions"
        write_instructions(self.instructions, count)
        self.made: set[bytes] = set()
        self.printed: set[bytes] = set()

    def make(self, bin: Path) -> None:
        """Make the table."""
        with self.instructions.open("rb") as text:
            subprocess.run([bin / "setforward", "table", "table.tmp"], stdin=text, cwd=self.folder, check=True)
        self.made.add((self.folder / "table").read_bytes())

    def print(self, bin: Path) -> None:
        """Print the table."""
        with (self.folder / "table").open("rb") as table:
            done = subprocess.run([bin / "printforward"], stdin=table, stdout=subprocess.PIPE, check=True)
        self.printed.add(done.stdout)

    def look_up(self, bin: Path, number: int) -> bytes:
        """Look an address up by a command; what it says."""
        env = {**os.environ, "RECIPIENT": user(number), "SENDER": "s@x"}
        command = [bin / "fastforward", OPTION, self.folder / "table"]
        return subprocess.run(command, env=env, stderr=subprocess.PIPE, check=True).stderr

    def deliver(self, bin: Path, number: int) -> bytes:
        """Look an address up by a line of a .qmail file, in this process; what it says."""
        os.environ.update({"RECIPIENT": user(number), "SENDER": "s@x"})
        with tempfile.TemporaryFile() as said:
            ours = os.dup(2)
            os.dup2(said.fileno(), 2)
            try:
                run(os.fsencode(f"{bin}/fastforward {OPTION} {self.folder}/table"))
            finally:
                os.dup2(ours, 2)
                os.close(ours)
            said.seek(0)
            return said.read()

    def expected(self, number: int) -> bytes:
        return b"from <s@x>\nto <target%d@elsewhere%d.example>\nto <other%d>\n" % (number, number % 13, number)


def each(tables: Tables, way: Callable[[Path, int], bytes], bin: Path, messages: int) -> float:
    """Milliseconds that a look-up takes, of *messages* one after another."""
    numbers = [number * 7919 % tables.count for number in range(messages)]
    began = time.perf_counter()
    said = [way(bin, number) for number in numbers]
    taken = time.perf_counter() - began
    if said != [tables.expected(number) for number in numbers]:
        raise SystemExit(f"forwards.py: {bin}: a look-up says something else")
    return taken * 1000 / messages


def once(work: Callable[[Path], None], bin: Path) -> float:
    """Milliseconds that *work* takes."""
    began = time.perf_counter()
    work(bin)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aliases", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    wish = parser.parse_args()
    with scratch() as folder, (folder / "message").open("w+b") as message:
        os.dup2(message.fileno(), 0)  # programs in .qmail files get it
        tables = Tables(folder, wish.aliases)
        measures: dict[str, Callable[[Path], float]] = {
            "setforward": lambda bin: once(tables.make, bin),
            "printforward": lambda bin: once(tables.print, bin),
            "fastforward": lambda bin: each(tables, tables.look_up, bin, wish.messages),
            "fastforward in .qmail": lambda bin: each(tables, tables.deliver, bin, wish.messages),
        }
        rows: dict[str, dict[str, list[float]]] = {name: {} for name in measures}
        for _, (name, measure), (system, bin) in product(range(wish.rounds), measures.items(), SYSTEMS.items()):
            rows[name].setdefault(system, []).append(measure(bin))
        if len(tables.made) != 1 or len(tables.printed) != 1:
            raise SystemExit("forwards.py: tables differ")
    print(compare(f"ms, {wish.aliases} aliases", rows))


if __name__ == "__main__":
    main()
