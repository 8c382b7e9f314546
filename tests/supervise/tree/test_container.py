"""svscan as process 1, and what is essential: everything comes down with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from commands import BIN, environment
from services import Tree, children, gone, kill, pid_of, running, up
from until import until


def all_gone(tree: Tree) -> bool:
    return not any(running(file.parent) for file in tree.folder.rglob("run"))


@pytest.mark.parametrize(("end", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)])
def test_what_is_essential_takes_all_with_it(tree: Tree, end: str, code: int) -> None:
    other = tree.service("other")
    place = tree.service("s", f"while [ ! -e go ]; do sleep 0.02; done; {end}\n")
    (place / "essential").touch()
    svscan = tree.start("svscan", tree.folder)
    first = up(other)
    up(place)
    (place / "go").touch()
    assert svscan.wait(30) == code
    assert gone(first)
    assert all_gone(tree)


def test_what_is_essential_can_be_taken_down(tree: Tree) -> None:
    place, other = tree.service("s"), tree.service("other")
    (place / "essential").touch()
    svscan = tree.start("svscan", tree.folder)
    first = up(other)
    up(place)
    tree.svc("-d", place)
    until(lambda: not pid_of(place))
    tree.svc("-u", place)
    up(place)
    assert pid_of(other) == first
    assert svscan.poll() is None


def test_hup_looks_at_the_folder(tree: Tree) -> None:
    first = tree.service("first")
    svscan = tree.start("svscan", "-s", tree.folder)
    up(first)
    tree.service("made")  # in place, so it is not noticed by itself
    svscan.send_signal(signal.SIGHUP)
    up(tree.folder / "made")


# -- process 1 --------------------------------------------------------------------------------


class Container:
    """A svscan that is process 1 of a PID namespace."""

    def __init__(self, tree: Tree) -> None:
        words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", BIN / "svscan", tree.folder]
        self.process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE)
        self.first = until(lambda: children(self.process.pid))[0]

    def wait(self) -> int:
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr
        self.process.stderr.close()


contained = pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare")


@pytest.mark.root
@contained
def test_process_1_brings_all_down_and_buries_everybody(tree: Tree) -> None:
    place = tree.service("s", "(sleep 0.1 & echo $! > orphan) ; touch begun; exec sleep 1000\n")
    container = Container(tree)
    try:
        until((place / "begun").exists)
        until(lambda: len(below(container.first)) == 2)  # the supervisor and the service: no orphan, and no zombie
        os.kill(container.first, signal.SIGTERM)
        assert container.wait() == 0
    finally:
        container.close()


@pytest.mark.root
@contained
@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_process_1_ends_with_what_is_essential(tree: Tree, end: str, code: int) -> None:
    place = tree.service("s", f"sleep 0.2; {end}\n")
    (place / "essential").touch()
    tree.service("other")
    container = Container(tree)
    try:
        assert container.wait() == code
    finally:
        container.close()


@pytest.mark.root
@contained
def test_a_supervisor_of_process_1_that_is_killed_comes_back_and_goes_on(tree: Tree) -> None:
    place = tree.service("s", "echo x >> starts; exec sleep 1000\n")
    container = Container(tree)
    try:
        until(lambda: (place / "starts").exists())
        (supervise,) = [pid for pid in children(container.first) if b"supervise" in cmdline(pid)]
        kill(supervise)
        until(lambda: any(b"supervise" in cmdline(pid) for pid in children(container.first) if pid != supervise))
        until(lambda: running(place))
        os.kill(container.first, signal.SIGTERM)
        assert container.wait() == 0
        assert (place / "starts").read_text() == "x\n"
    finally:
        container.close()


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def below(pid: int) -> list[int]:
    """The processes below *pid*, dead ones that nobody has buried included."""
    found = children(pid)
    return found + [each for child in found for each in children(child)]
