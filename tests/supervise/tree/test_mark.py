"""What is being started when the supervisor dies is known to the next one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import Tree, children, gone, parent_of, pid_of, running, state, up
from until import until

from supervise.program import spawn
from supervise.tree.mark import Mark

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="no strace")

NOTED = "echo $$ >> starts; exec sleep 1000\n"


def started(place: Path) -> list[int]:
    """The processes that ./run has been, in order."""
    file = place / "starts"
    return [int(word) for word in file.read_text().split()] if file.exists() else []


@contextmanager
def killed_at(pid: int, call: str, when: int) -> Iterator[None]:
    """Have the process *pid* killed at the *when*th system call of this name from now on."""
    inject = f"inject={call}:signal=KILL:when={when}"
    strace = subprocess.Popen(["strace", "-p", str(pid), "-e", inject], stderr=subprocess.PIPE)
    assert strace.stderr
    assert b"attached" in strace.stderr.readline()
    yield
    strace.wait(20)
    strace.stderr.close()


@pytest.mark.parametrize("log", [None, "exec cat > /dev/null\n"])
@pytest.mark.parametrize(
    ("call", "when"),
    [("clone3", 1), ("rename", 1), ("rename", 2), ("openat", 1), ("openat", 3), ("openat", 5), ("close", 4)],
)
def test_no_service_runs_twice_whenever_the_supervisor_dies(tree: Tree, call: str, when: int, log: str | None) -> None:
    place = tree.service("s", NOTED, log=log)
    tree.service("other")
    svscan = tree.start("svscan", tree.folder)
    first = up(place)
    until(lambda: started(place) == [first])
    supervisor = parent_of(first)
    with killed_at(supervisor, call, when):
        os.kill(first, signal.SIGKILL)
        until(lambda: gone(supervisor))
    until(lambda: running(place))
    last = until(lambda: (pid := pid_of(place)) and not gone(pid) and pid in started(place) and pid)
    assert [pid for pid in started(place) if not gone(pid)] == [last]
    assert len(children(svscan.pid)) == 1
    assert state(place)["pid"] == str(last)
    tree.svc("-d", place)
    until(lambda: gone(last) and not pid_of(place))


def test_a_mark_tells_the_process_that_was_started_under_it() -> None:
    mark = Mark()
    assert mark.left(()) == (0, 0)
    told, tell = os.pipe()
    parent = spawn(lambda: start_under(mark, tell), {tell: tell})
    os.waitpid(parent, 0)
    child = int(os.read(told, 20))
    assert mark.left(()) == (7, child)
    assert mark.left((child,)) == (7, 0)
    mark.end()
    assert mark.left(()) == (0, 0)
    os.kill(child, signal.SIGKILL)
    os.close(told)
    os.close(tell)


def start_under(mark: Mark, tell: int) -> int:
    """Start a process under the mark, tell its number, and die."""
    mark.begin(7)
    child = spawn([b"sleep", b"1000"])
    os.write(tell, b"%d" % child)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0
