"""svstat: whole trees, what services tell besides, JSON."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from commands import BIN, run
from hypothesis import given
from hypothesis import strategies as st
from services import DEBIAN, SLEEP, Tree, kill, pid_of, running, state, up
from until import until

from supervise import stamp
from supervise.errors import Temporary
from supervise.tree.servicedir import Status, scanned
from supervise.tree.snapshot import Snapshot, see
from supervise.tree.svstat import line

SECOND = 1_000_000_000
MOMENT = 1_700_000_000 * SECOND
READY = "echo >&3\n" + SLEEP
STUBBORN = "trap '' TERM; touch begun; while :; do sleep 0.05; done\n"

needs_original = pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="no original")


def watched(tree: Tree, name: str, script: str = SLEEP, **files: str) -> Path:
    """A service with more *files* (an underscore stands for a hyphen), under a supervise of its own."""
    place = tree.service(name, script)
    for file, text in files.items():
        (place / file.replace("_", "-")).write_text(text)
        (place / file.replace("_", "-")).chmod(0o755)
    tree.start("supervise", name)
    until(lambda: running(place))
    return place


def shown(place: Path) -> str:
    """What svstat says of the service in *place*, without numbers."""
    done = run("svstat", place.name, cwd=place.parent)
    assert (done.code, done.err) == (0, b"")
    return re.sub(r"\d+", "N", done.out.decode().removeprefix(f"{place.name}: ").rstrip("\n"))


def objects(*argv: str | Path, **more: Any) -> list[dict[str, Any]]:
    """What svstat --json says."""
    done = run("svstat", "--json", *argv, **more)
    assert (done.code, done.err) == (0, b"")
    found = json.loads(done.out)
    assert isinstance(found, list)
    return found


def names(**env: str | None) -> list[str]:
    """Whom svstat without arguments shows."""
    done = run("svstat", env={"SVDIR": None, "QMAILHOME": None, **env})
    assert (done.code, done.err) == (0, b"")
    return [line.partition(": ")[0] for line in done.out.decode().splitlines()]


# -- a tree --------------------------------------------------------------------------------------
def test_without_arguments_the_whole_tree_is_shown_in_order(tree: Tree) -> None:
    for name in ("b", "a", "a-b", ".hidden", "c"):
        tree.service(name)
    for name in ("a", "c"):
        tree.service(name + "/log")
    (tree.folder / "file").touch()
    (tree.folder / "gone").symlink_to("nowhere")
    whole = ["a", "a/log", "a-b", "b", "c", "c/log"]
    assert names(SVDIR=str(tree.folder)) == whole
    (tree.folder.parent / "other" / "service").mkdir(parents=True)
    assert names(SVDIR=str(tree.folder), QMAILHOME=str(tree.folder.parent / "other")) == whole
    assert names(QMAILHOME=str(tree.folder.parent)) == whole
    assert names(QMAILHOME=str(tree.folder.parent / "other")) == []
    assert names(QMAILHOME=str(tree.folder)) == []
    assert [(each["name"], each["dir"]) for each in objects(env={"SVDIR": "service"}, cwd=tree.folder.parent)] == [
        (name, f"service/{name}") for name in whole
    ]


def test_the_usual_places_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setattr("supervise.tree.servicedir.USUAL", (os.fsencode(first), os.fsencode(second)))
    monkeypatch.delenv("SVDIR", raising=False)
    monkeypatch.delenv("QMAILHOME", raising=False)
    assert scanned() is None
    second.mkdir()
    assert scanned() == os.fsencode(second)
    first.mkdir()
    assert scanned() == os.fsencode(first)
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    assert scanned() is None
    monkeypatch.setenv("SVDIR", "anything")
    assert scanned() == b"anything"


def test_what_cannot_be_looked_at_hides_nothing_else(tree: Tree) -> None:
    place = tree.service("s", down=True)
    (tree.folder / "loop").symlink_to("loop")
    shown = run("svstat", env={"SVDIR": str(tree.folder)})
    assert shown.code == 0
    assert shown.out.startswith(bytes(place.name, "ascii") + b": ")


def test_a_folder_that_was_named_must_be_there(tmp_path: Path) -> None:
    done = run("svstat", env={"SVDIR": "missing"}, cwd=tmp_path)
    assert done == (111, b"", b"svstat: fatal: unable to read directory missing: file does not exist\n")


def test_a_tree_with_its_svscan(tree: Tree) -> None:
    up_one, down_one = tree.service("up", log="exec cat > /dev/null\n"), tree.service("down", down=True)
    tree.start("svscan", tree.folder)
    up(up_one)
    up(up_one / "log")
    until(lambda: running(down_one))
    shown = run("svstat", env={"SVDIR": str(tree.folder)}).out.decode()
    assert re.sub(r"\d+", "N", shown).splitlines() == [
        "down: down N seconds",
        "up: up (pid N) N seconds",
        "up/log: up (pid N) N seconds",
    ]


# -- what services tell besides ---------------------------------------------------------------------
def test_a_service_that_has_said_that_it_is_ready(tree: Tree) -> None:
    place = watched(tree, "s", "while [ ! -e go ]; do sleep 0.02; done\n" + READY, notification_fd="3\n")
    up(place)
    assert shown(place) == "up (pid N) N seconds"
    assert not objects(place)[0]["ready"]
    (place / "go").touch()
    until(lambda: "ready" in state(place))
    assert shown(place) == "up (pid N) N seconds, ready N seconds"
    assert objects(place)[0]["ready"]
    assert objects(place)[0]["ready_seconds"] in range(60)


def test_a_service_whose_processes_are_being_ended(tree: Tree) -> None:
    place = watched(tree, "s", f"({STUBBORN.strip()}) & exec sleep 1000\n", kill_tree="")
    until((place / "begun").exists)
    tree.svc("-d", place)
    until(lambda: state(place)["state"] == "ending")
    assert shown(place) == "down N seconds, normally up, ending"
    assert objects(place)[0]["state"] == "ending"
    until(lambda: state(place)["state"] == "down")
    assert shown(place) == "down N seconds, normally up"


def test_a_service_that_is_being_finished(tree: Tree) -> None:
    wait = "while [ ! -e go ]; do sleep 0.02; done\n"
    place = watched(tree, "s", "exit 3\n", finish="#!/bin/sh\n" + wait, timeout_finish="0")
    until(lambda: state(place)["state"] == "finishing")
    assert shown(place) == "down N seconds, normally up, want up, finishing"
    found = objects(place)[0]
    assert (found["state"], found["wanted"], found["last_exit"]) == ("finishing", "up", 3)
    (place / "go").touch()


def test_a_service_whose_start_has_been_put_off(tree: Tree) -> None:
    place = watched(tree, "s", "kill -9 $$\n", max_death_tally="1")
    until(lambda: "next" in state(place))
    assert shown(place) == "down N seconds, normally up, want up, next start in N seconds"
    found = objects(place)[0]
    assert (found["state"], found["starts"], found["restarts"]) == ("down", 1, 0)
    assert found["last_exit"] == "SIGKILL"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["next_start"])
    assert found["next_start"] > found["since"]


def test_a_service_that_waits_for_others(tree: Tree) -> None:
    first, second = watched(tree, "first"), watched(tree, "second", down="")
    up(first)
    place = tree.service("s")
    (place / "after").write_text("# what it needs\nfirst second # and\n\nmissing\n")
    tree.start("supervise", "-w", "s")
    until(lambda: running(place))
    assert shown(place) == "down N seconds, normally up, want up, waiting for second missing"
    assert objects(place)[0]["waiting_for"] == ["second", "missing"]
    assert objects(".", cwd=place)[0]["waiting_for"] == ["second", "missing"]
    assert objects(place)[0]["state"] == "waiting"
    link = tree.folder.parent / "elsewhere"
    place.rename(link)
    place.symlink_to(link)
    assert shown(place) == "down N seconds, normally up, want up, waiting for second missing"
    place.unlink()
    link.rename(place)
    tree.svc("-u", second)
    up(second)
    assert shown(place) == "down N seconds, normally up, want up, waiting for missing"
    (place / "after").unlink()
    assert shown(place) == "down N seconds, normally up, want up, waiting"


def test_the_words_byte_for_byte() -> None:
    down = Snapshot(Status(MOMENT, 0, False, b"u"))
    down.compare(b"state down\npid 0\nsince %s\nnext %s\n" % (stamp.label(MOMENT), stamp.label(MOMENT + 9 * SECOND)))
    assert line(down, MOMENT + SECOND // 2) == b"down 0 seconds, normally up, want up, next start in 9 seconds"
    assert line(down, MOMENT + 8 * SECOND) == b"down 8 seconds, normally up, want up, next start in 1 seconds"
    assert line(down, MOMENT + 20 * SECOND) == b"down 20 seconds, normally up, want up, next start in 0 seconds"
    ready = Snapshot(Status(MOMENT, 7, True, b"d"), normally_up=False)
    since, said = stamp.label(MOMENT), stamp.label(MOMENT + 2 * SECOND)
    ready.compare(b"state up\npid 7\nsince %s\nnotification 3\nready %s\n" % (since, said))
    words = b"up (pid 7) 5 seconds, normally down, paused, want down, ready 3 seconds"
    assert line(ready, MOMENT + 5 * SECOND) == words


# -- JSON ----------------------------------------------------------------------------------------
def test_an_object_says_all_and_always_the_same(tree: Tree) -> None:
    place = tree.service("s", log="exec cat > /dev/null\n", down=True)
    tree.start("svscan", tree.folder)
    until(lambda: running(place))
    up(place / "log")
    tree.svc("-o", place)
    pid = up(place)
    tree.svc("-p", place)
    until(lambda: objects(place)[0]["paused"])
    found, log, missing = objects(place, "service/s/log/", "missing", cwd=tree.folder.parent)
    assert list(found) == list(log) == list(missing)
    since = time.strptime(found["since"].partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(since) - time.timezone - time.time()) < 3600
    assert found == {
        "name": "s",
        "dir": str(place),
        "state": "up",
        "pid": pid,
        "since": found["since"],
        "seconds": found["seconds"],
        "normally": "down",
        "wanted": "once",
        "paused": True,
        "ready": True,
        "ready_seconds": None,
        "waiting_for": [],
        "starts": 1,
        "restarts": 0,
        "last_exit": None,
        "next_start": None,
        "error": None,
    }
    assert found["seconds"] in range(60)
    assert (log["name"], log["dir"], log["state"]) == ("s/log", "service/s/log/", "up")
    nothing = {
        **dict.fromkeys(missing),
        "name": "missing",
        "dir": "missing",
        "error": "unable to chdir: file does not exist",
    }
    assert missing == nothing


def test_every_restart_is_counted_and_its_reason_kept(tree: Tree) -> None:
    place = watched(tree, "s")
    for restarts, name in enumerate(("SIGTERM", "SIGKILL"), 1):
        pid = up(place)
        tree.svc("-t" if name == "SIGTERM" else "-k", place)
        up(place, other_than=pid)
        found = objects(place)[0]
        assert (found["starts"], found["restarts"], found["last_exit"]) == (restarts + 1, restarts, name)


def test_a_service_without_supervise_and_one_that_cannot_be_read(tree: Tree) -> None:
    never, left = tree.service("never"), watched(tree, "left", down="")
    tree.svc("-x", left)
    until(lambda: not running(left))
    for found, error in zip(
        objects(never, left),
        ("unable to open supervise/ok: file does not exist", "supervise not running"),
        strict=True,
    ):
        assert (found["state"], found["error"], found["pid"]) == ("unsupervised", error, None)
    damaged = watched(tree, "damaged")
    up(damaged)
    (damaged / "supervise" / "status").write_bytes(b"?")
    found = objects(damaged)[0]
    assert (found["state"], found["error"]) == (None, "unable to read supervise/status: bad format")


def test_names_that_are_no_text_stay_what_they_are(tree: Tree) -> None:
    name = b"caf\xe9\n\x1b[31m"
    os.mkdir(os.path.join(os.fsencode(tree.folder), name))
    done = run("svstat", "--json", env={"SVDIR": str(tree.folder)})
    assert done.out.isascii() and len(done.out.splitlines()) == 1
    assert os.fsencode(json.loads(done.out)[0]["name"]) == name
    assert run("svstat", "--json", cwd=tree.folder, env={"SVDIR": None, "QMAILHOME": "/nowhere"}).out == b"[]\n"


# -- foreign supervises, damage -----------------------------------------------------------------------
@needs_original
def test_a_foreign_supervise_is_shown_as_ever(tree: Tree) -> None:
    place = watched(tree, "s", READY, notification_fd="3\n")
    until(lambda: "ready" in state(place))
    tree.svc("-dx", place)
    until(lambda: not running(place))
    (place / "run").write_text("#!/bin/sh\n" + SLEEP)
    tree.start(DEBIAN / "supervise", "s")
    pid = up(place)
    ours, theirs = (run(bin / "svstat", place) for bin in (BIN, DEBIAN))
    assert re.sub(rb"\d+ s", b"", ours.out) == re.sub(rb"\d+ s", b"", theirs.out)
    found = objects(place)[0]
    assert (found["state"], found["pid"], found["ready"], found["wanted"]) == ("up", pid, True, "up")
    assert [found[name] for name in ("starts", "restarts", "last_exit", "next_start", "ready_seconds")] == [None] * 5


@pytest.mark.parametrize(
    "damage",
    [
        b"garbage",
        b"\0" * 100,
        b"state up\npid 99999999999999999999\nsince @\n",
        b"state flying\npid 0\nsince @4000000037c219c92ef02e94\n",
        b"state up\npid 0\nsince @4000000037c219c92ef02e94\n",
        b"state down\npid 7\nsince @4000000037c219c92ef02e94\n",
        b"pid " + b"9" * 5000,
    ],
)
def test_a_damaged_state_is_one_clear_remark(tree: Tree, damage: bytes) -> None:
    place = watched(tree, "s")
    up(place)
    (place / "supervise" / "state").write_bytes(damage)
    assert shown(place) == "up (pid N) N seconds, unable to read supervise/state: bad format"
    found = objects(place)[0]
    assert (found["state"], found["pid"]) == ("up", pid_of(place))
    assert found["error"] == "unable to read supervise/state: bad format"


def test_a_state_that_is_no_file_is_one_clear_remark(tree: Tree) -> None:
    place = watched(tree, "s")
    up(place)
    file = place / "supervise" / "state"
    file.unlink()
    assert shown(place) == "up (pid N) N seconds"
    file.mkdir()
    assert shown(place) == "up (pid N) N seconds, unable to read supervise/state: is a directory"
    file.rmdir()
    os.mkfifo(file)
    assert shown(place) == "up (pid N) N seconds"
    file.unlink()
    file.touch()
    assert shown(place) == "up (pid N) N seconds"


@given(st.binary(max_size=40), st.binary(max_size=200), st.lists(st.sampled_from(["state", "since", "pid"])))
def test_whatever_lies_in_the_files_is_no_bug(
    tmp_path_factory: pytest.TempPathFactory, status: bytes, state: bytes, words: list[str]
) -> None:
    place = tmp_path_factory.mktemp("s")
    (place / "supervise").mkdir()
    os.mkfifo(place / "supervise" / "ok")
    reader = os.open(place / "supervise" / "ok", os.O_RDONLY | os.O_NONBLOCK)
    (place / "supervise" / "status").write_bytes(status)
    (place / "supervise" / "state").write_bytes(state + b"".join(b"\n%s " % word.encode() + state for word in words))
    here = os.open(".", os.O_PATH)
    try:
        seen = see(os.fsencode(place), here)
        assert isinstance(seen, Snapshot) == (len(status) >= 18) == (not isinstance(seen, Temporary))
        assert b"\n" not in line(seen, time.time_ns())
    finally:
        os.close(here)
        os.close(reader)


def test_a_state_that_is_newer_than_the_status_is_not_believed() -> None:
    snapshot = Snapshot(Status(MOMENT, 7, False, b"u"))
    snapshot.compare(b"state down\npid 0\nsince %s\n" % stamp.label(MOMENT + 1))
    assert (snapshot.state, snapshot.settled, snapshot.damage) == (None, False, b"")


def test_a_state_that_is_older_than_the_status_says_nothing() -> None:
    snapshot = Snapshot(Status(MOMENT, 7, False, b"u"))
    snapshot.compare(b"state finishing\npid 0\nsince %s\n" % stamp.label(MOMENT - 1))
    assert (snapshot.state, snapshot.settled, snapshot.damage, snapshot.word) == (None, True, b"", b"up")


def test_a_supervise_that_was_killed_shows_as_not_running(tree: Tree) -> None:
    place = watched(tree, "s")
    pid = up(place)
    kill(tree.processes[-1].pid)
    assert shown(place) == "supervise not running"
    kill(pid)
