"""./finish runs after each end of ./run, and knows how that was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from services import Tree, gone, kill, parent_of, pid_of, running, state, up
from until import until

NOTE = 'echo "$*" >> finished\n'


def service(tree: Tree, run: str, finish: str = NOTE, name: str = "s", **more: object) -> Path:
    place = tree.service(name, run, **more)  # type: ignore[arg-type]
    (place / "finish").write_text("#!/bin/sh\n" + finish)
    (place / "finish").chmod(0o755)
    return place


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("run", "told"),
    [("exit 0\n", "0 0 s"), ("exit 7\n", "7 0 s"), ("exit 255\n", "255 0 s"), ("kill -9 $$\n", "256 9 s")],
)
def test_it_is_told_how_run_ended(tree: Tree, run: str, told: str) -> None:
    place = service(tree, run)
    tree.start("supervise", "s")
    until(lambda: lines(place / "finished") == [told])
    until(lambda: state(place)["ended"] == told.removesuffix(" s"))


def test_it_runs_before_the_next_start_and_nothing_runs_beside_it(tree: Tree) -> None:
    place = service(
        tree, "mkdir busy && echo run >> order; rmdir busy\n", "mkdir busy && echo $1 >> order; rmdir busy\n"
    )
    tree.start("supervise", "s")
    until(lambda: len(lines(place / "order")) >= 6)
    assert lines(place / "order")[:6] == ["run", "0", "run", "0", "run", "0"]


def test_it_runs_as_run_does(tree: Tree) -> None:
    look = """
    pwd > place; for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done > fds
    while read -r line; do case $line in Sig[BI]*) echo "$line" ;; esac; done < /proc/$$/status > signals
    echo $PPID > parent; touch done
    """
    place = service(tree, "exit 1\n", look)
    supervise = tree.start("supervise", "s", env={"GREETING": "hello"})
    until((place / "done").exists)
    assert Path((place / "place").read_text().strip()).resolve() == place.resolve()
    assert (place / "fds").read_text().split() == ["0", "1", "2"]
    masks = dict(line.split() for line in (place / "signals").read_text().splitlines())
    assert int(masks["SigBlk:"], 16) == 0
    assert not int(masks["SigIgn:"], 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGCHLD - 1)
    assert int((place / "parent").read_text()) == supervise.pid


def test_its_output_goes_to_the_log_too(tree: Tree) -> None:
    place = service(tree, "echo run; exit 3\n", "echo finish $1\n", log="exec cat >> heard\n")
    tree.start("svscan", tree.folder)
    until(lambda: lines(place / "log" / "heard")[:2] == ["run", "finish 3"])


def test_while_it_runs_the_service_is_neither_up_nor_down(tree: Tree) -> None:
    place = service(tree, "exec sleep 1000\n", "exec sleep 1000\n")
    (place / "timeout-finish").write_text("0")
    tree.start("supervise", "s")
    pid = up(place)
    tree.svc("-d", place)
    until(lambda: gone(pid) and state(place)["state"] == "finishing")
    told = state(place)
    assert (told["pid"], told["ended"], told["want"]) == ("0", "256 15", "down")
    finisher = int(told["finish"])
    tree.svc("-t", place)
    tree.svc("-u", place)
    until(lambda: state(place)["want"] == "up")
    assert not gone(finisher)
    tree.svc("-k", place)
    until(lambda: gone(finisher))
    up(place, other_than=pid)
    assert "finish" not in state(place)


def test_it_is_killed_when_it_takes_too_long(tree: Tree) -> None:
    place = service(tree, "exit 0\n", "echo $$ >> finishers; trap '' TERM; while :; do sleep 1; done\n")
    (place / "timeout-finish").write_text("100")
    tree.start("supervise", "s")
    until(lambda: len(lines(place / "finishers")) > 1)
    assert gone(int(lines(place / "finishers")[0]))


def test_it_can_keep_the_service_down(tree: Tree) -> None:
    place = service(tree, "exec sleep 1000\n", NOTE + "exit 125\n")
    tree.start("supervise", "s")
    pid = up(place)
    kill(pid)
    until(lambda: state(place)["want"] == "down" and state(place)["state"] == "down")
    assert lines(place / "finished") == ["256 9 s"]
    tree.svc("-u", place)
    up(place, other_than=pid)


def test_a_finish_that_cannot_be_run_is_named_and_the_service_goes_on(tree: Tree) -> None:
    place = service(tree, "echo >> starts\n")
    (place / "finish").chmod(0o644)
    supervise = tree.start("supervise", "s")
    until(lambda: len(lines(place / "starts")) > 1)
    assert supervise.stderr
    assert supervise.stderr.readline() == b"supervise: fatal: unable to start s/finish: access denied\n"


def test_supervise_leaves_after_it(tree: Tree) -> None:
    place = service(tree, "exec sleep 1000\n", "read -r x < go; echo $1 >> finished\n")
    os.mkfifo(place / "go")
    supervise = tree.start("supervise", "s")
    up(place)
    tree.svc("-dx", place)
    until(lambda: state(place)["state"] == "finishing")
    assert supervise.poll() is None
    (place / "go").write_text("\n")
    assert supervise.wait(10) == 0
    assert lines(place / "finished") == ["256"]


def test_one_that_runs_is_waited_for_by_the_next_supervise(tree: Tree) -> None:
    place = service(tree, "echo >> starts; exec sleep 1000\n", "read -r x < go; echo $1 >> finished\n")
    (place / "timeout-finish").write_text("0")
    os.mkfifo(place / "go")
    old = tree.start("supervise", "s")
    pid = up(place)
    until(lambda: (place / "starts").exists() and lines(place / "starts"))
    kill(pid)
    finisher = int(until(lambda: state(place).get("finish")))
    old.kill()
    old.wait()
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert parent_of(finisher) != tree.processes[-1].pid
    assert state(place)["finish"] == str(finisher)
    assert pid_of(place) == 0
    (place / "go").write_text("\n")
    until(lambda: len(lines(place / "starts")) == 2)
    assert lines(place / "finished") == ["256"]


def test_one_that_runs_is_killed_in_time_by_the_next_supervise(tree: Tree) -> None:
    place = service(tree, "exec sleep 1000\n", "exec sleep 1000\n")
    (place / "timeout-finish").write_text("0")
    old = tree.start("supervise", "s")
    kill(up(place))
    finisher = int(until(lambda: state(place).get("finish")))
    old.kill()
    old.wait()
    (place / "timeout-finish").write_text("100")
    tree.start("supervise", "s")
    until(lambda: gone(finisher))
    up(place)


def test_the_end_of_a_run_that_nobody_watched_is_told_as_unknown(tree: Tree) -> None:
    place = service(tree, "exec sleep 1000\n")
    old = tree.start("supervise", "s")
    pid = up(place)
    old.kill()
    old.wait()
    kill(pid)
    tree.start("supervise", "s")
    up(place, other_than=pid)
    assert lines(place / "finished") == ["-1 0 s"]
