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
from supervise.tree.mark import Mark, orphan
from supervise.tree.state import identity

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


@pytest.mark.parametrize(
    ("call", "when"),
    [("clone3", 1), ("rename", 1), ("rename", 2), ("openat", 1), ("openat", 3), ("openat", 5), ("close", 4)],
)
@pytest.mark.parametrize("session", [[], ["setsid"]])
def test_no_service_runs_twice_when_svscan_dies_with_the_supervisor(
    tree: Tree, call: str, when: int, session: list[str]
) -> None:
    place = tree.service("s", NOTED)
    twin = tree.service("twin", NOTED)
    svscan = tree.start("svscan", tree.folder)
    first, other = up(place), up(twin)
    until(lambda: started(place) == [first])
    supervisor = parent_of(first)
    svscan.kill()
    svscan.wait()
    with killed_at(supervisor, call, when):
        os.kill(first, signal.SIGKILL)
        until(lambda: gone(supervisor))
    tree.start(*session, "svscan", tree.folder)
    until(lambda: running(place) and running(twin))
    last = until(lambda: (pid := pid_of(place)) and not gone(pid) and pid in started(place) and pid)
    assert [pid for pid in started(place) if not gone(pid)] == [last]
    assert pid_of(twin) == other
    until(lambda: state(place)["pid"] == str(last) and not (place / "supervise" / "lock").read_bytes())
    tree.svc("-d", place)
    until(lambda: gone(last) and not pid_of(place))


def started_by_a_dying_process(script: str, session: bool = False) -> tuple[tuple[int, int], int]:
    """A mark that was left by a process that started a shell under it and died; the shell's number."""
    mark = Mark()
    told, tell = os.pipe()

    def start() -> int:
        mark.begin(7)
        os.write(tell, b"%d" % spawn([b"sh", b"-c", script.encode()], prepare=os.setsid if session else None))
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    os.waitpid(spawn(start, {tell: tell}), 0)
    child = int(os.read(told, 20))
    os.close(told)
    os.close(tell)
    return mark.left(), child


@pytest.mark.parametrize("session", [False, True])
def test_a_mark_tells_the_process_that_was_started_under_it(session: bool) -> None:
    (key, since), child = started_by_a_dying_process("exec sleep 1000", session)
    try:
        assert key == 7
        assert orphan(since, (), b".") == (child, identity(child))
        assert orphan(since, (child,), b".") is None
        assert orphan(since + 100_000, (), b".") is None
    finally:
        os.kill(child, signal.SIGKILL)


def test_of_several_processes_it_is_the_first_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (_, since), other = started_by_a_dying_process("exec sleep 1000")
    _, first = started_by_a_dying_process(f"cd {folder}; exec sleep 1000")
    _, second = started_by_a_dying_process(f"cd {folder}; exec sleep 1000")
    try:
        until(lambda: os.path.samefile(f"/proc/{second}/cwd", folder))
        assert orphan(since, (), bytes(folder)) == (first, identity(first))
        assert orphan(since, (), b"/nowhere") is None
        assert orphan(since, (first, second), bytes(folder)) == (other, identity(other))
    finally:
        for pid in (other, first, second):
            os.kill(pid, signal.SIGKILL)


def test_a_mark_that_was_taken_away_tells_nothing() -> None:
    mark = Mark()
    assert mark.left() == (0, 0)
    mark.begin(7)
    mark.end()
    assert mark.left() == (0, 0)


def test_a_process_that_has_a_parent_is_no_orphan() -> None:
    mark = Mark()
    mark.begin(7)
    mine = spawn([b"sleep", b"1000"])
    parent = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE)
    assert parent.stdout
    child = int(parent.stdout.readline())
    try:
        assert orphan(mark.left()[1], (mine, parent.pid), b".") is None
    finally:
        for pid in (mine, parent.pid, child):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(mine, 0)
        parent.wait()
        parent.stdout.close()


def test_who_was_found_is_not_forgotten_when_the_next_supervisor_dies_before_it_knows(tree: Tree) -> None:
    place = tree.service("s", NOTED)
    svscan = tree.start("svscan", tree.folder)
    first = up(place)
    until(lambda: started(place) == [first])
    supervisor = parent_of(first)
    with killed_at(supervisor, "rename", 1):
        os.kill(first, signal.SIGKILL)
        until(lambda: gone(supervisor))
    second = until(lambda: len(started(place)) == 2 and started(place)[1])
    for _ in range(3):  # the next ones do not get to see it
        next_one = until(lambda: len(found := children(svscan.pid)) == 1 and found)[0]
        os.kill(next_one, signal.SIGKILL)
        until(lambda: gone(next_one))  # noqa: B023
    until(lambda: running(place) and pid_of(place) == second)
    assert started(place) == [first, second]
