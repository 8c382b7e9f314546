"""fghack: what goes into the background is waited for."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from commands import BIN, run, start
from services import DEBIAN, gone
from until import until

BINS = [BIN, pytest.param(DEBIAN, marks=pytest.mark.skipif(not (DEBIAN / "fghack").exists(), reason="no original"))]
DAEMON = "(read line < fifo) > /dev/null 2>&1 & echo $! > pid; exit 7"  # sh gives a background job /dev/null as 0


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    subprocess.run(["mkfifo", tmp_path / "fifo"], check=True)
    return tmp_path / "fifo"


def pid_in(file: Path) -> int:
    return int(until(lambda: file.exists() and file.read_text()))


def child_of(pid: int) -> int:
    """The one child of *pid*, or 0."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text() or 0)


@pytest.mark.parametrize("bin", BINS)
def test_a_daemon_is_waited_for_and_the_code_is_that_of_its_parent(bin: Path, fifo: Path) -> None:
    fghack = start(bin / "fghack", "sh", "-c", DAEMON, cwd=fifo.parent)
    daemon = pid_in(fifo.with_name("pid"))
    until(lambda: gone(child_of(fghack.pid)))
    assert fghack.poll() is None and not gone(daemon)
    fifo.write_text("go\n")
    assert fghack.wait(10) == 7
    assert gone(daemon)


@pytest.mark.parametrize("bin", BINS)
def test_a_daemon_that_closes_all_descriptors_gets_away(bin: Path, fifo: Path) -> None:
    close = " ".join(f"{fd}>&-" for fd in range(3, 10))
    script = f'for fd in $(ls /proc/$$/fd); do [ $fd -lt 10 ] || eval "exec $fd>&-"; done; exec {close}; {DAEMON}'
    assert run(bin / "fghack", "bash", "-c", script, cwd=fifo.parent).code == 7
    daemon = pid_in(fifo.with_name("pid"))
    assert not gone(daemon)
    fifo.write_text("go\n")
    until(lambda: gone(daemon))


@pytest.mark.parametrize("bin", BINS)
def test_the_program_finds_the_descriptors_of_fghack_and_31_of_a_pipe(bin: Path, tmp_path: Path) -> None:
    given = os.open(tmp_path / "given", os.O_CREAT | os.O_RDONLY)
    done = run(bin / "fghack", "sh", "-c", "ls -l /proc/$$/fd", pass_fds=(given,))
    os.close(given)
    places = dict(re.findall(r" (\d+) -> (.+)$", done.out.decode(), re.MULTILINE))
    assert places.pop(str(given)) == str(tmp_path / "given")
    extra = {place for fd, place in places.items() if int(fd) > 2}
    assert len(extra) == 1 and extra.pop().startswith("pipe:")
    assert len([fd for fd in places if int(fd) > 2]) == 31


@pytest.mark.parametrize("bin", BINS)
def test_what_is_written_to_the_pipe_is_thrown_away(bin: Path) -> None:
    done = run(bin / "fghack", "sh", "-c", "head -c 1000000 /dev/zero >&4; echo done")
    assert done == (0, b"done\n", b"")


@pytest.mark.parametrize("bin", BINS)
def test_it_takes_what_descriptors_there_are(bin: Path) -> None:
    done = run("bash", "-c", f"ulimit -n 16; exec {bin}/fghack sh -c 'exit 3'")
    assert done.code == 127
    assert b"error while loading shared libraries" in done.err, "none is left for the program"


@pytest.mark.parametrize("bin", BINS)
def test_a_signal_ends_fghack_alone(bin: Path, fifo: Path) -> None:
    fghack = start(bin / "fghack", "sh", "-c", DAEMON, cwd=fifo.parent)
    daemon = pid_in(fifo.with_name("pid"))
    fghack.terminate()
    assert fghack.wait(10) == -signal.SIGTERM
    assert not gone(daemon)
    fifo.write_text("go\n")
    until(lambda: gone(daemon))


@pytest.mark.parametrize("bin", BINS)
def test_ignored_children_cannot_be_waited_for(bin: Path) -> None:
    done = run("bash", "-c", f"trap '' CHLD; exec {bin}/fghack sh -c 'exit 4'")
    assert done == (111, b"", b"fghack: fatal: wait failed: no child processes\n")


def test_a_lock_taken_before_is_held_by_what_stays_behind(fifo: Path) -> None:
    fghack = start("setlock", "lock", "fghack", "sh", "-c", DAEMON, cwd=fifo.parent)
    daemon = pid_in(fifo.with_name("pid"))
    fghack.kill()
    fghack.wait(10)
    assert run("setlock", "-nx", "lock", "echo", "ran", cwd=fifo.parent).out == b""
    fifo.write_text("go\n")
    until(lambda: gone(daemon))
    assert run("setlock", "-nx", "lock", "echo", "ran", cwd=fifo.parent).out == b"ran\n"


def test_a_program_of_ours_runs_in_the_fork_under_its_own_name(tmp_path: Path) -> None:
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fghack = start("fghack", "setlock", "lock", "sh", "-c", "exit 9", cwd=tmp_path)
        child = until(lambda: child_of(fghack.pid))
        until(lambda: Path(f"/proc/{child}/comm").read_text() == "setlock\n")
        assert Path(f"/proc/{child}/cmdline").read_text() == Path(f"/proc/{fghack.pid}/cmdline").read_text(), "an exec"
    assert fghack.wait(10) == 9


def test_a_link_behind_it_that_fails_says_so_itself() -> None:
    assert run("fghack", "setuidgid") == (100, b"", b"setuidgid: usage: setuidgid account child\n")
    done = run("fghack", "softlimit", "-o", "100", "no-such-program")
    assert done == (111, b"", b"softlimit: fatal: unable to run no-such-program: file does not exist\n")
