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
