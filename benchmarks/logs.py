#!/usr/bin/env python3
"""Lines through the log programs, side by side: multilog and its peers, tai64n, tai64nlocal.

    benchmarks/logs.py [--megabytes 300] [--rounds 5] [--only SYSTEM ...]

Ours beside Debian's daemontools, runit and s6, as far as they are installed.  multilog and its peers read lines of
120 bytes through a pipe from cat and write them to rotated logs; tai64n and tai64nlocal read a file and write to
/dev/null.  Every round runs each system once, one after another, so that ratios compare runs of the same minutes.
A run counts only when the rotated logs hold the last of the lines that belong there, as many as may be kept, none
missing, none twice.  TMPDIR says on which disk; it takes four times --megabytes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from tables import compare
from usage import BIN, Usage, run, scratch

LINE = 120  # bytes, with the line end
PERIOD = 1000  # lines after which all but the number comes again
RARE, COMMON = ("fatal", "panic"), ("delivery", "info")  # 2 and 498 of 1000 lines; the others are "status"
STAMP = re.compile(rb"^(?:@[0-9a-f]{24}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}) ", re.M)
LARGEST = 16777215  # bytes of a log


class Work(NamedTuple):
    """What a logger is asked for: how large logs are, how many are kept, of which kinds of lines."""

    size: int
    keep: int
    kinds: tuple[str, ...] = ()  # all


WORKS = {
    "t s16777215 n10 ./main": Work(LARGEST, 10),
    "t ./main (s99999 n10)": Work(99999, 10),
    "t, 3 patterns, few lines": Work(LARGEST, 20, RARE),
    "t, 3 patterns, half of the lines": Work(LARGEST, 20, COMMON),
}


class Tools(NamedTuple):
    """The log programs of one system, in *bin*."""

    bin: Path
    logger: str
    script: Callable[[Work, Path], list[str]]  # the words that tell the logger its work, in a folder
    stampers: dict[str, str]  # what stands for tai64n and tai64nlocal

    def installed(self) -> bool:
        return (self.bin / self.logger).exists()


def multilog(work: Work, folder: Path) -> list[str]:
    # A star goes to the first byte that is like the one behind it: these two take the stamp and the number.
    patterns = ["-*", *(f"+* * {kind}: *" for kind in work.kinds)] if work.kinds else []
    return ["t", *patterns, f"s{work.size}", f"n{work.keep}", "./main"]


def svlogd(work: Work, folder: Path) -> list[str]:
    patterns = ["-*", *(f"+* {kind}: *" for kind in work.kinds)] if work.kinds else []
    (folder / "main").mkdir()
    (folder / "main" / "config").write_text("\n".join([f"s{work.size}", f"n{work.keep}", *patterns, ""]))
    return ["-t", "./main"]


def s6_log(work: Work, folder: Path) -> list[str]:
    patterns = ["-", *(f"+ {kind}: " for kind in work.kinds)] if work.kinds else []
    return [*patterns, "t", f"n{work.keep}", f"s{work.size}", "./main"]


DEBIAN = Path("/usr/bin")
STAMPERS = {"tai64n": "tai64n", "tai64nlocal": "tai64nlocal"}
SYSTEMS = {
    "daemontools": Tools(DEBIAN, "multilog", multilog, STAMPERS),
    "pyqmail": Tools(BIN, "multilog", multilog, STAMPERS),
    "runit": Tools(DEBIAN, "svlogd", svlogd, {}),
    "s6": Tools(DEBIAN, "s6-log", s6_log, {name: f"s6-{name}" for name in STAMPERS}),
}


class Input:
    """The files that are read, and those that tell what must come out."""

    def __init__(self, folder: Path, megabytes: float) -> None:
        self.folder = folder
        self.count = max(PERIOD, int(megabytes * 1e6) // LINE)
        self.lines = self.selected(())
        self.stamped = folder / "stamped"
        write_lines(self.stamped, self.count, stamped=True)
        os.sync()  # so that nobody measures the writing of these

    def of(self, work: str) -> Path:
        """What *work* reads."""
        return self.stamped if work == "tai64nlocal" else self.lines

    def selected(self, kinds: tuple[str, ...]) -> Path:
        """The file of the lines of these kinds."""
        file = self.folder / ("-".join(kinds) or "lines")
        if not file.exists():
            write_lines(file, self.count, kinds)
        return file


def write_lines(file: Path, count: int, kinds: tuple[str, ...] = (), stamped: bool = False) -> None:
    """Write those of *count* numbered lines that are of these kinds, with a stamp if wished, a thousand a second."""
    places = [place for place in range(PERIOD) if not kinds or kind(place) in kinds]
    texts = {place: text(place) for place in places}
    with file.open("wb") as out:
        for first in range(0, count, PERIOD):
            label = b"@40000000%08x" % (0x65000000 + first // PERIOD)
            stamps = [b"%b%08x " % (label, place * 1000000 + 137) if stamped else b"" for place in range(PERIOD)]
            lines = [b"%b%09d %b" % (stamps[at], first + at, texts[at]) for at in places if first + at < count]
            out.write(b"".join(lines))


def kind(place: int) -> str:
    if place % (PERIOD // 2) == 0:
        return RARE[place // (PERIOD // 2)]
    return "status" if place % 2 else COMMON[place // 2 % 2]


def text(place: int) -> bytes:
    """A line without its number."""
    words = f"{kind(place)}: pid {place * 7919 % 32768} from 192.0.2.{place % 256} qp {place * 31} uid 1001 to box@host"
    return words.ljust(LINE - 11, ".").encode() + b"\n"


def log(tools: Tools, work: Work, given: Input, folder: Path) -> Usage:
    """Have *work* done in the new *folder*; what the logger used."""
    folder.mkdir()
    expected = given.selected(work.kinds)
    command = [str(tools.bin / tools.logger), *tools.script(work, folder)]
    with subprocess.Popen(["cat", given.lines], stdout=subprocess.PIPE) as cat:
        used = run(command, stdin=cat.stdout, cwd=folder)
    check_logs(command[0], folder / "main", expected, work.keep)
    shutil.rmtree(folder)
    return used


def check_logs(program: str, main: Path, expected: Path, keep: int) -> None:
    """See that the logs in *main* hold the end of *expected*: all of it, or of as many logs as are kept."""
    logs = [*sorted(main.glob("@*")), main / "current"]
    rest = expected.stat().st_size
    with expected.open("rb") as lines:
        for file in reversed(logs):
            found, stamps = STAMP.subn(b"", file.read_bytes())
            rest -= len(found)
            lines.seek(max(rest, 0))
            if lines.read(len(found)) != found or stamps != found.count(b"\n"):
                raise SystemExit(f"logs.py: {program}: {file.name} has other lines than it should")
    if rest and len(logs) < keep:
        raise SystemExit(f"logs.py: {program}: {rest} bytes are missing")


def stamp(tools: Tools, which: str, given: Input) -> Usage:
    """Have stamps put, or made dates, for nobody; what the program used."""
    with given.of(which).open("rb") as lines:
        return run([str(tools.bin / tools.stampers[which])], stdin=lines, stdout=subprocess.DEVNULL)


def check_stampers(tools: Tools, given: Input) -> None:
    """See that nothing changes but what stands in front of the lines; what is measured goes to nobody."""
    for which, program in tools.stampers.items():
        some = b"".join(islice(given.of(which).open("rb"), PERIOD))
        done = subprocess.run([tools.bin / program], input=some, stdout=subprocess.PIPE, check=True)
        if STAMP.sub(b"", done.stdout) != STAMP.sub(b"", some) or len(STAMP.findall(done.stdout)) != PERIOD:
            raise SystemExit(f"logs.py: {program}: lines are not as they should be")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    wish = parser.parse_args()
    systems = {name: SYSTEMS[name] for name in wish.only if SYSTEMS[name].installed()}
    runs: dict[str, dict[str, list[dict[str, float]]]] = {work: {} for work in (*WORKS, *STAMPERS)}
    with scratch() as folder:
        given = Input(folder, wish.megabytes)
        for tools in systems.values():
            check_stampers(tools, given)
        for _, (work, row), (name, tools) in product(range(wish.rounds), runs.items(), systems.items()):
            if work in WORKS:
                used = log(tools, WORKS[work], given, folder / "logs")
            elif work in tools.stampers:
                used = stamp(tools, work, given)
            else:
                continue
            speed = given.of(work).stat().st_size / 1e6 / used.seconds
            row.setdefault(name, []).append({"MB/s": speed, "CPU s": used.cpu, "peak RSS MiB": used.peak})
    for figure in ("MB/s", "CPU s", "peak RSS MiB"):
        rows = {work: {name: [each[figure] for each in row[name]] for name in row} for work, row in runs.items()}
        print(compare(figure, rows), end="\n\n")


if __name__ == "__main__":
    main()
