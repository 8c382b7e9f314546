"""Whoever is killed: services go on, the next supervise goes on with them, and nothing runs twice."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from commands import run
from services import Tree, children, gone, kill, parent_of, pid_of, running, state, state_of, up
from until import until

NOTED = "echo $$ >> starts; exec sleep 1000\n"


def started(place: Path) -> list[int]:
    """The processes that ./run has been, in order."""
    file = place / "starts"
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def alive(place: Path) -> list[int]:
    return [pid for pid in started(place) if is_in(pid, place)]


def is_in(pid: int, place: Path) -> bool:
    """Whether there is a process *pid*, and *place* is its working directory: its number may be another's by now."""
    try:
        return not gone(pid) and os.path.samefile(f"/proc/{pid}/cwd", place)
    except OSError:
        return False


def supervisor_of(svscan: int) -> int:
    """The one supervisor of a svscan that has not ended."""
    (pid,) = until(lambda: len(found := [pid for pid in children(svscan) if not gone(pid)]) == 1 and found)
    return int(pid)


def test_a_hundred_services_go_on_when_the_supervisor_is_killed(tree: Tree) -> None:
    places = [tree.service(f"s{number:03}", NOTED) for number in range(100)]
    svscan = tree.start("svscan", tree.folder)
    pids = {place: up(place) for place in places}
    old = supervisor_of(svscan.pid)
    kill(old)
    until(lambda: all(running(place) for place in places))
    assert supervisor_of(svscan.pid) != old
    assert {place: pid_of(place) for place in places} == pids
    assert all(started(place) == [pids[place]] for place in places)
    tree.svc("-p", *places)
    until(lambda: all(state_of(pid) == "T" for pid in pids.values()))
    tree.svc("-c", *places)
    until(lambda: all(state_of(pid) != "T" for pid in pids.values()))
    tree.svc("-t", *places)
    until(lambda: all(gone(pid) for pid in pids.values()))
    for place in places:
        assert up(place, other_than=pids[place]) in until(lambda: (new := started(place)[1:]) and new)  # noqa: B023
        assert len(alive(place)) == 1
        assert state(place)["starts"] == "2"


def test_each_service_is_what_it_was(tree: Tree) -> None:
    names = ["up", "down", "once", "paused", "off", "on", "never"]
    place = {name: tree.service(name, NOTED, down=name in ("on", "never")) for name in names}
    svscan = tree.start("svscan", tree.folder)
    until(lambda: all(running(each) for each in place.values()))
    for name in ("up", "down", "once", "paused", "off"):
        up(place[name])
    tree.svc("-d", place["down"], place["off"])
    tree.svc("-o", place["once"])
    tree.svc("-p", place["paused"])
    tree.svc("-u", place["on"])
    up(place["on"])
    until(lambda: state(place["down"])["state"] == "down" and state(place["off"])["state"] == "down")
    until(lambda: state(place["once"])["want"] == "once" and "paused" in state(place["paused"]))
    before = {name: (place[name] / "supervise" / "status").read_bytes() for name in names}
    kill(supervisor_of(svscan.pid))
    until(lambda: all(running(each) for each in place.values()))
    assert {name: (place[name] / "supervise" / "status").read_bytes() for name in names} == before
    kill(pid_of(place["once"]))
    kill(pid_of(place["up"]))
    until(lambda: len(started(place["up"])) == 2)
    until(lambda: state(place["once"])["state"] == "down")
    assert [len(alive(place[name])) for name in names] == [1, 0, 0, 1, 0, 1, 0]


@pytest.mark.long
def test_thirty_kills_while_services_start_and_stop(tree: Tree) -> None:
    chance = random.Random(11)
    short = "echo $$ >> starts; exec sleep 0.$(( $$ % 7 ))\n"
    places = [tree.service(f"long{number}", NOTED) for number in range(5)]
    places += [tree.service(f"short{number}", short) for number in range(5)]
    places += [tree.service(f"last{number}", NOTED) for number in range(5)]
    (places[0] / "finish").write_text("#!/bin/sh\nexec sleep 0.05\n")
    (places[0] / "finish").chmod(0o755)
    svscan = tree.start("svscan", tree.folder)
    for place in places:
        up(place)
    for _ in range(30):
        supervisor = supervisor_of(svscan.pid)
        for _ in range(chance.randrange(8)):
            place = chance.choice(places)
            if chance.random() < 0.5:
                tree_svc(chance.choice(["-d", "-u", "-t", "-k", "-du"]), place)
            else:
                for pid in alive(place):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: gone(supervisor))  # noqa: B023
        assert [found for place in places if len(found := alive(place)) > 1] == []
        if chance.random() < 0.7:
            until(lambda: all(running(place) for place in places))
    for place in places:
        if not place.name.startswith("short"):
            until(lambda: running(place))  # noqa: B023
            tree.svc("-u", place)
            until(lambda: len(alive(place)) == 1 and pid_of(place) == alive(place)[0])  # noqa: B023
        else:
            (place / "run").write_text("#!/bin/sh\n" + NOTED)
            tree.svc("-u", place)
            until(lambda: pid_of(place) and not gone(pid_of(place)) and alive(place) == [pid_of(place)])  # noqa: B023


def tree_svc(option: str, place: Path) -> None:
    """Run svc, whether or not there is a supervise to hear it."""

    run("svc", option, place)


def test_services_and_svc_go_on_without_svscan(tree: Tree) -> None:
    place, other = tree.service("s", NOTED), tree.service("other", NOTED)
    svscan = tree.start("svscan", tree.folder)
    pid, others = up(place), up(other)
    supervisor = parent_of(pid)
    svscan.kill()
    svscan.wait()
    tree.svc("-t", place)
    second = up(place, other_than=pid)
    assert parent_of(second) == supervisor
    tree.svc("-d", other)
    until(lambda: gone(others))
    assert not gone(supervisor)
    tree.svc("-dx", place, other)
    until(lambda: gone(supervisor))


def test_a_new_svscan_complains_and_takes_over_when_the_old_supervisor_is_gone(tree: Tree) -> None:
    place = tree.service("s", NOTED)
    old = tree.start("svscan", tree.folder)
    pid = up(place)
    supervisor = parent_of(pid)
    old.kill()
    old.wait()
    new = tree.start("svscan", "-s", tree.folder)
    assert new.stderr
    for _ in range(2):
        line = new.stderr.readline()
        assert line == b"supervise: fatal: unable to acquire s/supervise/lock: temporary failure\n"
        new.send_signal(signal.SIGHUP)
    kill(supervisor)
    new.send_signal(signal.SIGHUP)
    until(lambda: running(place))
    assert pid_of(place) == pid
    assert started(place) == [pid]
    tree.svc("-t", place)
    assert parent_of(up(place, other_than=pid)) == supervisor_of(new.pid)


def test_a_new_svscan_starts_afresh_what_nobody_runs(tree: Tree) -> None:
    """As after a start of the machine: what was put down by hand is up again."""
    place = tree.service("s", NOTED)
    old = tree.start("svscan", tree.folder)
    pid = up(place)
    tree.svc("-d", place)
    until(lambda: state(place)["state"] == "down")
    supervisor = supervisor_of(old.pid)
    old.kill()
    old.wait()
    kill(supervisor)
    tree.start("svscan", tree.folder)
    up(place, other_than=pid)


def test_svscan_and_supervisor_killed_together_leave_a_log_without_a_gap(tree: Tree) -> None:
    talk = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done\n"
    place = tree.service("s", talk, log="exec cat >> heard\n")
    old = tree.start("svscan", tree.folder)
    heard = place / "log" / "heard"
    until(lambda: heard.exists() and heard.read_bytes().count(b"\n") > 3)
    pids = [pid_of(place), pid_of(place / "log")]
    supervisor = supervisor_of(old.pid)
    old.kill()
    old.wait()
    kill(supervisor)
    tree.start("svscan", tree.folder)
    until(lambda: running(place) and running(place / "log"))
    assert [pid_of(place), pid_of(place / "log")] == pids
    seen = heard.read_bytes().count(b"\n")
    until(lambda: heard.read_bytes().count(b"\n") > seen + 5)
    numbers = [int(line.split()[1]) for line in heard.read_text().splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_last_wish_survives(tree: Tree) -> None:
    """`svc -dx` to a service that takes its time, and a supervise that is killed meanwhile."""
    place = tree.service("s", "echo $$ >> starts; trap 'touch told' TERM; while [ ! -e go ]; do sleep 0.02; done\n")
    old = tree.start("supervise", "s")
    up(place)
    tree.svc("-dx", place)
    until(lambda: (place / "told").exists() and state(place).get("leaving"))
    old.kill()
    old.wait()
    new = tree.start("supervise", "s")
    until(lambda: running(place))
    (place / "go").touch()
    assert new.wait(10) == 0
    assert len(started(place)) == 1


@pytest.mark.parametrize("file", ["status", "state"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 18, b"state up\npid 1\nprocess x y\n", b"pid 99999999999999999999\n"]
)
def test_damaged_files_are_no_worse_than_missing_ones(tree: Tree, file: str, content: bytes) -> None:
    place = tree.service("s", NOTED)
    supervise = tree.start("supervise", "s")
    pid = up(place)
    tree.svc("-dx", place)
    assert supervise.wait(10) == 0
    (place / "supervise" / file).write_bytes(content)
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert up(place, other_than=pid) != 1
    assert tree.processes[-1].poll() is None
