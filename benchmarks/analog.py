#!/usr/bin/env python3
"""A log of qmail-send through matchup, and through zstore into its store.

    benchmarks/analog.py [--megabytes 1000] [--rounds 5]

matchup reads the log from a file and writes to one.  zstore reads it from a log directory, as logs of 16 MB, plain
or compressed by Zstandard, into a new store; then once more, when there is nothing new.  A run counts only when the
reports say as many messages and deliveries as there are in the log.  TMPDIR says on which disk; it takes four times
--megabytes.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import zstandard
from tables import compare
from usage import BIN, Usage, run, scratch

PERIOD = 1000  # messages after which all but the numbers comes again
SECOND, EPOCH = 500, 1_764_000_000  # messages in a second, and the first second
IDLE = "zstore, nothing new"
LARGEST = 16777215  # bytes of a log


def lines() -> Iterator[bytes]:
    """The log of one message after the other: a tenth is deferred once, a tenth has two recipients; without an end."""
    delivery = at = 0
    while True:
        stamp = b"@%016x" % ((1 << 62) + 10 + EPOCH + at // SECOND)
        first = at % SECOND * 2_000_000
        texts = [
            b"new msg %d" % (at % 5000),
            b"info msg %d: bytes %d from <user%d@host%d.example> qp %d uid %d"
            % (at % 5000, 500 + at * 7919 % 50000, at % 997, at % 97, at % 30000, 1000 + at % 13),
        ]
        results = [b"success"] * (2 if at % 10 == 5 else 1)
        for result in [b"deferral", *results] if at % 10 == 0 else results:
            delivery += 1
            texts += [
                b"starting delivery %d: msg %d to remote box%d@domain%d.example"
                % (delivery, at % 5000, at % 1013, at % 211),
                b"status: local 0/10 remote 1/20",
                b"delivery %d: %b: 192.0.2.%d_accepted_message./Remote_host_said:_250_ok_%d_qp_%d/"
                % (delivery, result, at % 256, EPOCH + at, at % 32768),
                b"status: local 0/10 remote 0/20",
            ]  # fmt: skip
        texts.append(b"end msg %d" % (at % 5000))
        yield b"".join(b"%b%08x %b\n" % (stamp, first + place, text) for place, text in enumerate(texts))
        at += 1


class Input:
    """The log, as a file and as log directories; how many messages and deliveries are in it."""

    def __init__(self, folder: Path, megabytes: float) -> None:
        self.file, self.plain, self.packed = folder / "log", folder / "plain", folder / "packed"
        self.plain.mkdir()
        self.packed.mkdir()
        self.messages = self.deliveries = 0
        source = lines()
        with self.file.open("wb") as whole:
            while whole.tell() < megabytes * 1e6:
                self.put_log(source, min(LARGEST, int(megabytes * 1e6) - whole.tell()), whole.write)

    def put_log(self, source: Iterator[bytes], size: int, also: Callable[[bytes], int]) -> None:
        """Make one more old log, of about *size* bytes."""
        texts: list[bytes] = []
        while sum(map(len, texts)) < size:
            texts.append(b"".join(islice(source, PERIOD)))
            self.messages += PERIOD
            self.deliveries += texts[-1].count(b" starting ")
        text = b"".join(texts)
        also(text)
        stamp = int(text[text.rindex(b"\n", 0, -1) + 2 :][:24], 16) + 1
        for folder, ending, content in (
            (self.plain, "", text),
            (self.packed, ".zst", zstandard.compress(text)),
        ):
            (folder / f"@{stamp:024x}.s{ending}").write_bytes(content)


def matchup(given: Input, folder: Path) -> Usage:
    """Read the log; what matchup used."""
    results = folder / "results"
    with given.file.open("rb") as log, results.open("wb") as out:
        used = run(["sh", "-c", 'exec "$0" 5>/dev/null', str(BIN / "matchup")], stdin=log, stdout=out)
    check(given, results.read_bytes())
    results.unlink()
    return used


def zstore(given: Input, folder: Path, logs: Path, again: bool = False) -> Usage:
    """Read a log directory into a new store, or, when that has been done, *again*; what zstore used."""
    store = folder / "store"
    command = [str(BIN / "zstore"), str(store), str(logs)]
    used = run(command)
    if again:
        used = run(command)
    check(given, subprocess.run([BIN / "zlines", store], stdout=subprocess.PIPE, check=True).stdout)
    for file in folder.glob("store*"):
        file.unlink()
    return used


def check(given: Input, results: bytes) -> None:
    """See that *results* has a line for each message and each delivery."""
    found = results.startswith(b"m ") + results.count(b"\nm "), results.startswith(b"d ") + results.count(b"\nd ")
    if found != (given.messages, given.deliveries):
        raise SystemExit(f"analog.py: {found} messages and deliveries, not {(given.messages, given.deliveries)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    wish = parser.parse_args()
    with scratch() as folder:
        given = Input(folder, wish.megabytes)
        megabytes = given.file.stat().st_size / 1e6
        works: dict[str, Callable[[], Usage]] = {
            "matchup": lambda: matchup(given, folder),
            "zstore": lambda: zstore(given, folder, given.plain),
            "zstore, compressed logs": lambda: zstore(given, folder, given.packed),
            IDLE: lambda: zstore(given, folder, given.packed, again=True),
        }
        figures: dict[str, dict[str, list[float]]] = {work: {} for work in works}
        for _ in range(wish.rounds):
            for work, do in works.items():
                used = do()
                row = {"CPU s": used.cpu, "peak RSS MiB": used.peak}
                if work != IDLE:
                    row |= {"MB/s": megabytes / used.seconds, "MB/CPU s": megabytes / used.cpu}
                for figure, value in row.items():
                    figures[work].setdefault(figure, []).append(value)
    for figure in ("MB/s", "MB/CPU s", "CPU s", "peak RSS MiB"):
        print(
            compare(figure, {work: {"pyqmail": row[figure]} for work, row in figures.items() if figure in row}),
            end="\n\n",
        )


if __name__ == "__main__":
    main()
