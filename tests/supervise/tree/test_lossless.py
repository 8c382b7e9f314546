"""Nothing is lost between a service and its log, whoever is killed."""

from __future__ import annotations

import mmap
import os
import random
import re
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, run
from services import Tree, children, gone, pid_of, running
from until import until

LINES = 1_000_000
NOTES = struct.Struct("<qqqq")  # life, line begun, line done, lines of all lives

# Each life writes numbered lines, as many at once as a pipe takes in one piece, and notes in a file that every
# process shares with the kernel how far it means to get and how far it has got.
WRITER = f"""
import mmap, os, struct, sys
notes = struct.Struct({NOTES.format!r})
place = mmap.mmap(os.open("notes", os.O_RDWR), notes.size)
life, begun, done, total = notes.unpack(place[:])
with open("lives", "a") as lives:
    lives.write(f"{{life}} {{begun}} {{done}}\\n")
life, begun, done = life + 1, 0, 0
while total < {LINES}:
    lines = b"".join([b"%d %d and some words to fill it\\n" % (life, number) for number in range(done, done + 80)])
    place[:] = notes.pack(life, done + 80, done, total)
    assert os.write(1, lines) == len(lines)
    done, total = done + 80, total + 80
    place[:] = notes.pack(life, done, done, total)
with open("lives", "a") as lives:
    lives.write(f"{{life}} {{done}} {{done}}\\n")
os.execv("/bin/sleep", ["sleep", "1000"])
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "kills"),
    [("t s16777215 n1000 ./main", 200), ("t s65536 n10000 ./main", 20), ("s999999 n1000 ./main", 20)],
)
def test_every_line_that_the_pipe_took_is_in_the_log_once_and_whole(tree: Tree, script: str, kills: int) -> None:
    place = tree.service("s", f"exec {sys.executable} -S writer\n", log=f"exec multilog {script}\n", down=True)
    (place / "writer").write_text(WRITER)
    (place / "notes").write_bytes(NOTES.pack(0, 0, 0, 0))
    svscan = tree.start("svscan", tree.folder)
    until(lambda: running(place) and pid_of(place / "log"))
    (place / "down").unlink()
    with open(place / "notes", "r+b") as file, mmap.mmap(file.fileno(), NOTES.size) as notes:
        tree.svc("-u", place)
        for goal, victim in plan(kills):
            until(lambda: NOTES.unpack(notes[:])[3] >= goal, seconds=60)  # noqa: B023
            until(lambda: slay(svscan.pid, place, victim))  # noqa: B023
        until(lambda: NOTES.unpack(notes[:])[3] >= LINES, seconds=120)
    until(lambda: down(place))
    expected = lives(place)
    until(lambda: len(list(logged(place / "log" / "main"))) >= sum(done for _, done in expected.values()), seconds=60)
    until(lambda: down(place / "log"))
    found: dict[int, list[int]] = {}
    for life, number in logged(place / "log" / "main"):
        found.setdefault(life, []).append(number)
    assert set(found) <= set(expected)
    for life, (begun, done) in expected.items():
        numbers = found.get(life, [])
        assert numbers == list(range(len(numbers)))
        assert done <= len(numbers) <= begun


def plan(kills: int) -> Iterator[tuple[int, str]]:
    """When to kill whom: a number of lines that must have been written, and a name."""
    chance = random.Random(20)
    for goal in sorted(chance.randrange(LINES) for _ in range(kills)):
        yield goal, chance.choice(["main", "log", "log", "supervise"])


def slay(svscan: int, place: Path, victim: str) -> bool:
    """Kill the *victim*; False when it has just ended, and nobody is there yet in its place."""
    where = {"main": place, "log": place / "log", "supervise": place.parent}[victim]
    pid = next(iter(children(svscan)), 0) if victim == "supervise" else pid_of(where)
    try:
        if pid and not gone(pid) and Path(f"/proc/{pid}/cwd").readlink().is_relative_to(where):
            os.kill(pid, signal.SIGKILL)
            return True
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


def down(place: Path) -> bool:
    """Tell a service to be down; whether it is.  A supervise that was just killed may have heard it last."""
    run(BIN / "svc", "-d", place)
    return running(place) and not pid_of(place)


def lives(place: Path) -> dict[int, tuple[int, int]]:
    """Each life of the writer, with the lines that it meant to write at last and those that it had written."""
    return {
        int(life): (int(begun), int(done))
        for life, begun, done in (line.split() for line in (place / "lives").read_text().splitlines())
    }


def logged(folder: Path) -> Iterator[tuple[int, int]]:
    """The lines in the log, oldest first: life and number."""
    line = re.compile(rb"(?:@[0-9a-f]{24} )?([0-9]+) ([0-9]+) and some words to fill it\n")
    for file in [*sorted(folder.glob("@*")), folder / "current"]:
        content = file.read_bytes()
        if file.name == "current":
            content = content[: content.rfind(b"\n") + 1]  # the rest is being written
        for each in content.splitlines(keepends=True):
            match = line.fullmatch(each)
            assert match, each
            yield int(match[1]), int(match[2])
