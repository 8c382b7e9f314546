"""svc -w: wait until services are where they should be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from commands import BIN, run, start
from services import DEBIAN, SLEEP, Tree, kill, pid_of, running, state, up
from until import until

WAITING = (
    b"svc waiting: "
    b"wu up, wU up and ready, wd down, wD down for good, wr up again, wR up again and ready, T milliseconds\n"
)
OPTIONS = (
    b"svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n"
)
SLOW = "while [ ! -e go ]; do sleep 0.02; done\n"
STUBBORN = 'trap "" TERM; touch begun; ' + SLOW
READY = "echo >&3; exec sleep 1000\n"

BINS = [BIN, pytest.param(DEBIAN, marks=pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="no original"))]


def supervised(tree: Tree, name: str, script: str = SLEEP, bin: Path = BIN, **files: str) -> Path:
    """A service that a supervise of its own watches, with more *files*; an underscore stands for a hyphen."""
    place = tree.service(name, script, down=True)
    for file, text in files.items():
        (place / file.replace("_", "-")).write_text(text)
        (place / file.replace("_", "-")).chmod(0o755)
    tree.start(bin / "supervise", name)
    until(lambda: running(place))
    return place


def waits(*argv: str | Path) -> subprocess.Popen[bytes]:
    """A svc that has begun to wait."""
    svc = start("svc", *argv, stderr=subprocess.PIPE)
    until(lambda: "poll" in Path(f"/proc/{svc.pid}/wchan").read_text() or svc.poll() is not None)
    return svc


def ends(svc: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Exit code and complaints of a svc that has been waiting."""
    err = svc.communicate(timeout=20)[1]
    return svc.returncode, err


@pytest.mark.parametrize("bin", BINS)
def test_up_and_down(tree: Tree, bin: Path) -> None:
    place = supervised(tree, "s", bin=bin)
    for states in ("-wu", "-wU"):
        assert run("svc", "-u", states, place) == (0, b"", b"")
        assert pid_of(place)
    for states in ("-wd", "-wD"):
        assert run("svc", "-d", states, place) == (0, b"", b"")
        assert not pid_of(place)


@pytest.mark.parametrize("bin", BINS)
@pytest.mark.parametrize("state", ["-wr", "-wR"])
def test_a_restart_is_seen_however_quick_it_is(tree: Tree, bin: Path, state: str) -> None:
    place = supervised(tree, "s", bin=bin)
    tree.svc("-u", place)
    pid = up(place)
    for _ in range(3):
        assert run("svc", "-t", state, place) == (0, b"", b"")
        assert pid_of(place) not in (0, pid)
        pid = pid_of(place)


def test_what_runs_already_is_no_restart(tree: Tree) -> None:
    place = supervised(tree, "s")
    tree.svc("-u", place)
    up(place)
    svc = waits("-wr", place)
    tree.svc("-p", place)
    tree.svc("-c", place)
    assert svc.poll() is None
    tree.svc("-t", place)
    assert ends(svc) == (0, b"")


def test_a_first_start_is_a_start(tree: Tree) -> None:
    place = supervised(tree, "s")
    assert run("svc", "-u", "-wr", place) == (0, b"", b"")
    assert pid_of(place)


def test_ready_is_when_the_service_says_so(tree: Tree) -> None:
    place = supervised(tree, "s", SLOW + READY, notification_fd="3\n")
    svc = waits("-u", "-wU", place)
    assert run("svc", "-wu", place).code == 0
    assert svc.poll() is None
    (place / "go").touch()
    assert ends(svc) == (0, b"")
    assert "ready" in state(place)


def test_ready_again_is_when_the_new_one_says_so(tree: Tree) -> None:
    place = supervised(tree, "s", SLOW + READY, notification_fd="3\n")
    (place / "go").touch()
    assert run("svc", "-u", "-wU", place).code == 0
    (place / "go").unlink()
    svc = waits("-t", "-wR", place)
    assert run("svc", "-T", "15000", "-wu", place).code == 0
    assert svc.poll() is None
    (place / "go").touch()
    assert ends(svc) == (0, b"")
    assert state(place)["starts"] == "2"


def test_down_for_good_is_when_finish_is_over(tree: Tree) -> None:
    place = supervised(tree, "s", finish="#!/bin/sh\n" + SLOW, timeout_finish="0\n")
    assert run("svc", "-u", "-wu", place).code == 0
    svc = waits("-d", "-wD", place)
    assert run("svc", "-wd", place).code == 0
    assert state(place)["state"] == "finishing"
    assert svc.poll() is None
    (place / "go").touch()
    assert ends(svc) == (0, b"")
    assert state(place)["state"] == "down"


def test_down_for_good_is_when_the_rest_has_ended(tree: Tree) -> None:
    place = supervised(tree, "s", f"({STUBBORN.strip()}) & exec sleep 1000\n", kill_tree="")
    assert run("svc", "-u", "-wu", place).code == 0
    until((place / "begun").exists)
    svc = waits("-d", "-wD", place)
    assert run("svc", "-wd", place).code == 0
    assert state(place)["state"] == "ending"
    (place / "go").touch()
    assert ends(svc) == (0, b"")
    assert state(place)["state"] == "down"


def test_a_supervise_that_ends_leaves_its_service_down_for_good(tree: Tree) -> None:
    place = supervised(tree, "s")
    assert run("svc", "-u", "-wu", place).code == 0
    assert run("svc", "-dx", "-wD", place) == (0, b"", b"")
    assert not pid_of(place)


def test_all_services_are_waited_for(tree: Tree) -> None:
    places = [supervised(tree, name) for name in ("a", "b", "c")]
    svc = waits("-wu", *places, places[0])
    for place in places:
        assert svc.poll() is None
        tree.svc("-u", place)
    assert ends(svc) == (0, b"")
    assert all(pid_of(place) for place in places)


def test_waiting_does_nothing_while_nothing_happens_to_the_service(tree: Tree) -> None:
    place, other = supervised(tree, "s"), supervised(tree, "other")
    svc = waits("-wu", place)

    def wakes() -> bytes:
        return re.findall(rb"\nvoluntary_ctxt_switches:\t(\d+)", Path(f"/proc/{svc.pid}/status").read_bytes())[0]

    before = wakes()
    for _ in range(3):
        assert run("svc", "-u", "-wu", other).code == 0
        assert run("svc", "-d", "-wd", other).code == 0
    assert wakes() == before
    tree.svc("-u", place)
    assert ends(svc) == (0, b"")


def test_the_time_limit_says_who_is_not_there_and_how_it_is(tree: Tree) -> None:
    place, other = supervised(tree, "s"), supervised(tree, "other")
    done = run("svc", "-u", "-w", "U", "-T", "300", other, cwd=tree.folder)
    assert done == (0, b"", b"")
    done = run("svc", "-wu", "-T100", "s", "other", cwd=tree.folder)
    assert done.code == 99
    assert re.fullmatch(rb"svc: fatal: s is not up yet: down \d+ seconds\n", done.err)
    done = run("svc", "-wD", "-T", "1", "s", "other", cwd=tree.folder)
    assert done.code == 99
    assert re.fullmatch(
        rb"svc: fatal: other is not down for good yet: up \(pid \d+\) \d+ seconds, normally down\n", done.err
    )
    assert not pid_of(place)


def test_a_supervise_that_comes_back_in_time_is_taken_for_the_old_one(tree: Tree) -> None:
    place = supervised(tree, "s")
    svc = waits("-wu", place)
    kill(tree.processes[-1].pid)
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert svc.poll() is None
    tree.svc("-u", place)
    assert ends(svc) == (0, b"")


def test_a_supervise_that_takes_over_what_runs_is_no_restart(tree: Tree) -> None:
    place = supervised(tree, "s")
    tree.svc("-u", place)
    pid = up(place)
    svc = waits("-wr", place)
    kill(tree.processes[-1].pid)
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert run("svc", "-wu", place).code == 0
    assert pid_of(place) == pid
    assert svc.poll() is None
    tree.svc("-t", place)
    assert ends(svc) == (0, b"")


def test_a_supervise_that_comes_late_is_waited_for(tree: Tree) -> None:
    place = tree.service("s")
    svc = waits("-wu", place)
    tree.start("supervise", "s")
    assert ends(svc) == (0, b"")
    assert pid_of(place)


def test_without_supervise_nobody_gets_there(tree: Tree) -> None:
    tree.service("never")
    dead = supervised(tree, "dead")
    tree.svc("-u", dead)
    up(dead)
    svc = waits("-wu", dead, tree.folder / "never")
    kill(tree.processes[-1].pid)
    code, err = ends(svc)
    assert code == 111
    assert set(err.splitlines()) <= {
        f"svc: fatal: unable to wait for {place}: supervise not running".encode()
        for place in (dead, tree.folder / "never")
    }
    assert err
    kill(pid_of(dead))


def test_a_folder_that_is_not_there_costs_the_others_no_command(tree: Tree) -> None:
    place = supervised(tree, "s")
    done = run("svc", "-u", "-wu", "missing", "s", cwd=tree.folder)
    assert done.code == 111
    assert done.err.splitlines() == [
        b"svc: warning: unable to chdir to missing: file does not exist",
        b"svc: fatal: unable to wait for missing: unable to watch: file does not exist",
    ]
    up(place)


def test_a_damaged_status_ends_the_wait(tree: Tree) -> None:
    place = supervised(tree, "s")
    (place / "supervise" / "status").write_bytes(b"short")
    done = run("svc", "-wd", "s", cwd=tree.folder)
    assert done == (111, b"", b"svc: fatal: unable to wait for s: unable to read supervise/status: bad format\n")


@pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="no original")
def test_what_ours_has_left_says_nothing_of_a_foreign_one(tree: Tree) -> None:
    place = supervised(tree, "s", SLOW + READY, notification_fd="3\n")
    assert run("svc", "-u", "-wu", place).code == 0
    (place / "go").touch()
    assert run("svc", "-dx", "-wD", place).code == 0
    (place / "run").write_text("#!/bin/sh\n" + SLEEP)
    tree.start(DEBIAN / "supervise", "s")
    until(lambda: running(place))
    assert run("svc", "-u", "-wU", place) == (0, b"", b"")
    assert run("svc", "-d", "-wD", place) == (0, b"", b"")


@pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="no original")
@pytest.mark.parametrize("ours_before", [False, True])
def test_with_a_supervise_that_knows_nothing_of_readiness_up_counts_as_ready(tree: Tree, ours_before: bool) -> None:
    place = tree.service("s")
    (place / "notification-fd").write_text("3\n")
    if ours_before:
        supervise = tree.start("supervise", "s")
        until(lambda: running(place))
        assert run("svc", "-wU", "-T", "1", place).code == 99
        tree.svc("-dx", place)
        supervise.wait()
    tree.start(DEBIAN / "supervise", "s")
    assert run("svc", "-wU", "-T", "20000", place) == (0, b"", b"")
    before = pid_of(place)
    assert run("svc", "-t", "-wR", "-T", "20000", place) == (0, b"", b"")
    assert pid_of(place) not in (0, before)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-wx"], b"svc: illegal state to wait for -- x\n"),
        (["-w", "ud"], b"svc: illegal state to wait for -- ud\n"),
        (["-w"], b"svc: option requires an argument -- w\n"),
        (["-wu", "-T", "soon"], b"svc: illegal number of milliseconds -- soon\n"),
        (["-wu", "-T", "-1"], b"svc: illegal number of milliseconds -- -1\n"),
    ],
)
def test_wrong_usage_tells_nobody_anything(tmp_path: Path, words: list[str], complaint: bytes) -> None:
    control = tmp_path / "s" / "supervise" / "control"
    control.parent.mkdir(parents=True)
    control.touch()
    if words[-1] != "-w":
        words = [*words, "s"]
    assert run("svc", "-u", *words, cwd=tmp_path) == (100, b"", complaint + OPTIONS + WAITING)
    assert control.read_bytes() == b""


def test_without_a_folder_there_is_nothing_to_wait_for() -> None:
    assert run("svc", "-wu") == (100, b"", OPTIONS + WAITING)


@pytest.mark.parametrize("bin", BINS)
def test_who_does_not_wait_gets_the_answers_of_the_original(bin: Path) -> None:
    assert run(bin / "svc", "-u") == (0, b"", b"")
    assert run(bin / "svc", "-uz", "s") == (100, b"", b"svc: illegal option -- z\n" + OPTIONS)
