"""pgrphack: a session of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from commands import BIN, run, start
from services import DEBIAN, gone
from until import until

BINS = [BIN, pytest.param(DEBIAN, marks=pytest.mark.skipif(not (DEBIAN / "pgrphack").exists(), reason="no original"))]


def group_and_session(pid: int) -> tuple[int, int]:
    return os.getpgid(pid), os.getsid(pid)


@pytest.mark.parametrize("bin", BINS)
def test_the_program_leads_a_group_and_a_session_without_a_terminal(bin: Path, tmp_path: Path) -> None:
    leader = start("sh", "-c", f"{bin}/pgrphack sh -c 'echo $$ > pid; exec sleep 1000' & wait", cwd=tmp_path)
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    assert group_and_session(pid) == (pid, pid)
    assert (tmp_path / "pid").read_text() != f"{leader.pid}\n"
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0", "a terminal"
    os.kill(pid, signal.SIGTERM)
    assert leader.wait(10) == 0


@pytest.mark.parametrize("bin", BINS)
def test_a_signal_to_the_group_that_it_left_does_not_reach_it(bin: Path, tmp_path: Path) -> None:
    script = f"{bin}/pgrphack sh -c 'echo $$ > pid; exec sleep 1000' & wait"
    group = start("sh", "-c", script, cwd=tmp_path, process_group=0)
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    os.killpg(group.pid, signal.SIGTERM)
    assert group.wait(10) == -signal.SIGTERM
    assert not gone(pid)
    os.kill(pid, signal.SIGTERM)
    until(lambda: gone(pid))


@pytest.mark.parametrize("bin", BINS)
def test_who_leads_a_group_already_stays_where_it_is(bin: Path, tmp_path: Path) -> None:
    script = "echo $$ > pid; exec sleep 1000"
    leader = start(bin / "pgrphack", "sh", "-c", script, cwd=tmp_path, process_group=0)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() == f"{leader.pid}\n")
    assert group_and_session(leader.pid) == (leader.pid, os.getsid(0))
    leader.terminate()
    assert leader.wait(10) == -signal.SIGTERM


def test_it_is_one_link_of_a_chain(tmp_path: Path) -> None:
    done = run("setlock", tmp_path / "lock", "pgrphack", "softlimit", "-o", "50", "sh", "-c", "ulimit -n")
    assert done == (0, b"50\n", b"")
