"""supervise: one real service, watched."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from commands import run
from services import Tree, gone, kill, parent_of, pid_of, running, state, state_of, up
from until import until

# Built-ins alone: while the shell starts another program it blocks signals.
LOOK = """
while read line; do case $line in Sig*) echo "$line" ;; esac; done < /proc/$$/status > signals
for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done > fds
exec sleep 1000
"""
LISTEN = """
for name in HUP ALRM INT TERM; do trap "echo $name >> heard" $name; done
touch ready
while :; do sleep 0.02; done
"""


def status_line(place: Path) -> str:
    return run("svstat", place.name, cwd=place.parent).out.decode()


def test_run_gets_what_exec_would_have_given_it(tree: Tree) -> None:
    place = tree.service("s", LOOK)
    supervise = tree.start("supervise", "s")
    pid = up(place)
    until((place / "fds").exists)
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert (place / "fds").read_text().split() == ["0", "1", "2"]
    masks = {line.split()[0]: int(line.split()[1], 16) for line in (place / "signals").open() if "SigQ" not in line}
    assert not masks["SigBlk:"]
    for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ, signal.SIGTERM):
        assert not masks["SigIgn:"] & 1 << number - 1
    assert parent_of(pid) == supervise.pid
    assert Path(f"/proc/{pid}/cwd").resolve() == place.resolve()


def test_its_files_are_as_the_format_says(tree: Tree) -> None:
    place = tree.service("s")
    tree.start("supervise", "s")
    up(place)
    folder = place / "supervise"
    modes = {file.name: oct(file.stat().st_mode) for file in folder.iterdir() if not file.name.endswith(".new")}
    pipes = {"control": "0o10600", "ok": "0o10600"}
    assert modes == {**pipes, "lock": "0o100600", "status": "0o100644", "state": "0o100644"}
    assert oct(folder.stat().st_mode) == "0o40700"
    assert len((folder / "status").read_bytes()) == 18


def test_a_death_is_noticed_and_mended_at_once(tree: Tree) -> None:
    place = tree.service("s")
    tree.start("supervise", "s")
    first = up(place)
    until(lambda: time.time() - (place / "supervise" / "status").stat().st_mtime > 1.0)
    before = time.monotonic()
    os.kill(first, signal.SIGKILL)
    up(place, other_than=first)
    assert time.monotonic() - before < 0.5


def test_what_ends_at_once_is_started_once_a_second(tree: Tree) -> None:
    place = tree.service("s", "date +%s.%N >> starts\n")
    tree.start("supervise", "s")
    starts = until(lambda: (place / "starts").exists() and len(s := (place / "starts").read_text().split()) > 1 and s)
    gaps = [float(later) - float(earlier) for earlier, later in pairwise(starts)]
    assert all(0.9 < gap < 1.6 for gap in gaps), gaps


def test_down_once_up_and_exit(tree: Tree) -> None:
    place = tree.service("s", down=True)
    supervise = tree.start("supervise", "s")
    until(lambda: running(place))
    assert status_line(place).startswith("s: down ")
    tree.svc("-o", place)
    pid = up(place)
    assert status_line(place).endswith("seconds, normally down\n")
    kill(pid)
    until(lambda: not pid_of(place))
    tree.svc("-u", place)
    pid = up(place)
    tree.svc("-p", place)
    until(lambda: state_of(pid) == "T")
    assert ", paused" in status_line(place)
    tree.svc("-d", place)
    until(lambda: gone(pid) and not pid_of(place))
    tree.svc("-x", place)
    assert supervise.wait(10) == 0
    assert not running(place)
    assert (place / "supervise" / "status").read_bytes()[12:] == b"\0\0\0\0\0d"


def test_exit_alone_waits_for_the_service(tree: Tree) -> None:
    place = tree.service("s")
    supervise = tree.start("supervise", "s")
    pid = up(place)
    tree.svc("-x", place)
    until(lambda: running(place))
    assert supervise.poll() is None
    kill(pid)
    assert supervise.wait(10) == 0


def test_signals_arrive_in_the_order_given(tree: Tree) -> None:
    place = tree.service("s", LISTEN)
    tree.start("supervise", "s")
    until((place / "ready").exists)
    for option, name in {"-h": "HUP", "-a": "ALRM", "-i": "INT", "-t": "TERM"}.items():
        tree.svc(option, place)
        until(lambda: (place / "heard").exists() and (place / "heard").read_text().endswith(name + "\n"))  # noqa: B023
    pid = pid_of(place)
    tree.svc("-dk", place)
    until(lambda: gone(pid))


def test_a_second_supervise_is_refused(tree: Tree) -> None:
    place = tree.service("s")
    tree.start("supervise", "s")
    up(place)
    done = run("supervise", "s", cwd=tree.folder)
    assert done == (111, b"", b"supervise: fatal: unable to acquire s/supervise/lock: temporary failure\n")


def test_a_run_that_cannot_be_started_is_named_and_tried_again(tree: Tree) -> None:
    place = tree.service("s")
    (place / "run").chmod(0o644)
    supervise = tree.start("supervise", "s")
    assert supervise.stderr
    for _ in range(2):
        assert supervise.stderr.readline() == b"supervise: fatal: unable to start s/run: access denied\n"


def test_a_supervise_that_is_killed_leaves_its_service_to_the_next(tree: Tree) -> None:
    place = tree.service("s", "echo started >> starts; exec sleep 1000\n")
    old = tree.start("supervise", "s")
    first = up(place)
    tree.svc("-d", place)
    until(lambda: not pid_of(place))
    tree.svc("-u", place)
    first = up(place, other_than=first)
    until(lambda: (place / "starts").read_text().count("\n") == 2)
    status = (place / "supervise" / "status").read_bytes()
    old.kill()
    old.wait()
    assert not running(place)
    assert not gone(first)
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert (place / "supervise" / "status").read_bytes() == status
    tree.svc("-p", place)
    until(lambda: state_of(first) == "T")
    tree.svc("-c", place)
    until(lambda: state_of(first) != "T")
    os.kill(first, signal.SIGKILL)
    second = up(place, other_than=first)
    assert parent_of(second) == tree.processes[-1].pid
    assert state(place)["ended"] == "-1 0"
    assert state(place)["starts"] == "3"


def test_a_service_that_ended_while_nobody_watched_is_started_anew(tree: Tree) -> None:
    place = tree.service("s")
    old = tree.start("supervise", "s")
    first = up(place)
    old.kill()
    old.wait()
    kill(first)
    tree.start("supervise", "s")
    up(place, other_than=first)


def test_another_process_with_the_old_number_is_no_service(tree: Tree) -> None:
    place = tree.service("s")
    old = tree.start("supervise", "s")
    first = up(place)
    old.kill()
    old.wait()
    kill(first)
    for file in ("status", "state"):  # as if the number had come round again
        path = place / "supervise" / file
        theirs = os.getpid().to_bytes(4, "little")
        content = path.read_bytes()
        new = (
            content[:12] + theirs + content[16:]
            if file == "status"
            else content.replace(b"%d" % first, b"%d" % os.getpid())
        )
        path.write_bytes(new)
    tree.start("supervise", "s")
    assert up(place, other_than=os.getpid()) != first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_supervise_itself_dies_of_an_ordinary_signal(tree: Tree, number: int) -> None:
    place = tree.service("s")
    supervise = tree.start("supervise", "s")
    pid = up(place)
    supervise.send_signal(number)
    assert supervise.wait(10) == -number
    assert not gone(pid)
    kill(pid)


def test_a_status_that_cannot_be_written_is_a_warning_and_the_service_goes_on(tree: Tree) -> None:
    place = tree.service("s")
    (place / "supervise" / "status.new").mkdir(parents=True)
    supervise = tree.start("supervise", "s")
    assert supervise.stderr
    line = supervise.stderr.readline()
    assert line == b"supervise: warning: unable to open s/supervise/status.new: is a directory\n"
    until(lambda: Path(f"/proc/{supervise.pid}/task/{supervise.pid}/children").read_text())
    (place / "supervise" / "status.new").rmdir()


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_usage(arguments: list[str]) -> None:
    assert run("supervise", *arguments) == (100, b"", b"supervise: usage: supervise dir\n")
