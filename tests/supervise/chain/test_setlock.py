"""setlock: one at a time."""

from __future__ import annotations

import subprocess
from pathlib import Path

from commands import run, start
from until import until


def test_it_waits_until_the_lock_is_free(tmp_path: Path) -> None:
    holder = start("setlock", "lock", "sh", "-c", "touch held; read line", cwd=tmp_path, stdin=subprocess.PIPE)
    until((tmp_path / "held").exists)
    waiter = start("setlock", "lock", "touch", "second", cwd=tmp_path)
    until(lambda: is_waiting(tmp_path / "lock"))
    assert not (tmp_path / "second").exists()
    holder.communicate(b"\n")
    assert waiter.wait(10) == 0
    assert (tmp_path / "second").exists()


def is_waiting(file: Path) -> bool:
    """Whether somebody waits for a lock on *file*."""
    inode = f":{file.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_the_lock_goes_on_in_what_the_program_leaves_behind(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    subprocess.run(["mkfifo", fifo], check=True)
    assert run("setlock", "lock", "sh", "-c", "exec >/dev/null 2>&1; (read line <fifo) &", cwd=tmp_path).code == 0
    assert run("setlock", "-nx", "lock", "echo", "ran", cwd=tmp_path).out == b""
    fifo.write_text("go\n")
    assert run("setlock", "lock", "echo", "ran", cwd=tmp_path).out == b"ran\n"


def test_quiet_failure_is_for_the_lock_and_not_for_the_program(tmp_path: Path) -> None:
    assert run("setlock", "-x", "no/lock", "true", cwd=tmp_path) == (0, b"", b"")
    done = run("setlock", "-x", "lock", "no-such-program", cwd=tmp_path)
    assert done == (111, b"", b"setlock: fatal: unable to run no-such-program: file does not exist\n")


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    done = run("setlock", "-q", "lock", "true", cwd=tmp_path)
    assert done.code == 100
    assert done.err.startswith(b"setlock: illegal option -- q\nsetlock: usage: setlock [ -nNxX ]")


def test_a_file_that_is_there_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("precious")
    assert run("setlock", "lock", "sh", "-c", "echo more", cwd=tmp_path).out == b"more\n"
    assert (tmp_path / "lock").read_text() == "precious"
