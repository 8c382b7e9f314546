"""Service directories on a file system that is full."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Tree, children, gone, pid_of, running, state, up
from until import until

pytestmark = pytest.mark.root


@pytest.fixture
def full(tree: Tree) -> Iterator[Path]:
    """The folder of the tree on a small file system; the file that fills it, once it is made."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tree.folder], check=True)
    yield tree.folder / ".ballast"
    (tree.folder / ".ballast").unlink(missing_ok=True)
    tree.end()
    subprocess.run(["umount", "--lazy", tree.folder], check=True)


def fill(ballast: Path) -> None:
    with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_keeps_no_state_from_being_known(tree: Tree, full: Path) -> None:
    place = tree.service("s")
    tree.start("svscan", tree.folder)
    first = up(place)
    fill(full)
    tree.svc("-t", place)
    second = up(place, other_than=first)
    assert not gone(second)
    assert state(place)["pid"] == str(second)


def test_on_a_full_disk_nothing_runs_twice_when_the_supervisor_is_killed(tree: Tree, full: Path) -> None:
    place = tree.service("s", "echo $$ >&2; exec sleep 1000\n")
    svscan = tree.start("svscan", tree.folder)
    first = up(place)
    fill(full)
    tree.svc("-t", place)
    second = up(place, other_than=first)
    (supervisor,) = children(svscan.pid)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: gone(supervisor))
    until(lambda: running(place))
    assert (pid_of(place), gone(second)) == (second, False)


def test_what_had_no_room_at_all_is_written_when_there_is_some(tree: Tree, full: Path) -> None:
    place = tree.service("s", "exec sleep 1000\n", down=True)
    supervise = tree.start("supervise", "s")
    until(lambda: running(place))
    for name in ("status", "state"):
        (place / "supervise" / name).unlink()
    fill(full)
    tree.svc("-u", place)
    assert supervise.stderr
    complaints = [supervise.stderr.readline() for _ in range(2)]
    assert complaints == [
        b"supervise: warning: unable to write s/supervise/%s.new: out of disk space\n" % name
        for name in (b"state", b"status")
    ]
    full.unlink()
    assert not gone(up(place))
    until(lambda: (place / "supervise" / "state").exists() and state(place)["pid"] == str(pid_of(place)))
    tree.svc("-dx", place)
    supervise.wait()
    assert supervise.stderr.read() == b""
