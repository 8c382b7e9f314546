"""svscan: a folder of services, kept alive."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest
from commands import BIN, run
from services import Tree, children, gone, kill, parent_of, pid_of, running, state_of, title_of, up
from until import until

TALK = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done\n"
WRITE = "exec cat >> heard\n"


def test_one_process_is_the_supervise_of_all_services(tree: Tree) -> None:
    places = [tree.service("a"), tree.service("b", log=WRITE), tree.folder / "b" / "log"]
    svscan = tree.start("svscan", tree.folder)
    (supervise,) = {parent_of(up(place)) for place in places}
    assert parent_of(supervise) == svscan.pid
    until(lambda: sorted(title_of(supervise).split()) == ["a", "b", "b/log", "supervise"])
    assert Path(f"/proc/{supervise}/comm").read_text() == "supervise\n"
    assert title_of(svscan.pid) == f"svscan {tree.folder}"


def test_services_and_logs_get_what_exec_would_have_given_them(tree: Tree) -> None:
    look = "for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done > fds; touch done; exec cat\n"
    places = [tree.service(f"s{number}", look, log=look) for number in range(3)]
    places += [place / "log" for place in places]
    tree.start("svscan", tree.folder)
    until(lambda: all((place / "done").exists() for place in places))
    for place in places:
        assert (place / "fds").read_text().split() == ["0", "1", "2"]
    pids = [up(place) for place in places]
    until(lambda: all(Path(f"/proc/{pid}/comm").read_text() == "cat\n" for pid in pids[3:]))
    for pid in pids[3:]:
        assert sorted(os.listdir(f"/proc/{pid}/fd"), key=int) == ["0", "1", "2"]


def test_a_log_hears_all_of_its_service_whoever_is_killed(tree: Tree) -> None:
    place = tree.service("s", TALK, log=WRITE)
    tree.start("svscan", tree.folder)
    heard = place / "log" / "heard"
    until(lambda: heard.exists() and heard.read_bytes().count(b"\n") > 3)
    log_supervise = parent_of(pid_of(place / "log"))
    assert title_of(log_supervise).startswith("supervise ")
    first = pid_of(place / "log")
    kill(log_supervise)
    kill(first)
    up(place / "log", other_than=first)
    seen = heard.read_bytes().count(b"\n")
    until(lambda: heard.read_bytes().count(b"\n") > seen + 5)
    numbers = [int(line.split()[1]) for line in heard.read_text().splitlines() if line.startswith("line ")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_supervise_that_is_killed_comes_back_within_seconds(tree: Tree) -> None:
    place = tree.service("s")
    tree.start("svscan", tree.folder)
    first = up(place)
    before = time.monotonic()
    old = parent_of(first)
    kill(old)
    until(lambda: running(place))
    assert time.monotonic() - before < 3
    assert pid_of(place) == first
    tree.svc("-t", place)
    assert parent_of(up(place, other_than=first)) != old


def test_every_five_seconds_it_looks_again(tree: Tree) -> None:
    leaving, staying = tree.service("leaving"), tree.service("staying")
    svscan = tree.start("svscan", tree.folder)
    until(lambda: running(leaving))
    first = up(staying)
    began = time.monotonic()
    leaving.rename(tree.folder / ".leaving")
    late = tree.service("late")
    tree.svc("-dx", tree.folder / ".leaving", staying)
    up(staying, other_than=first)
    up(late)
    assert 2 < time.monotonic() - began < 8
    assert not running(tree.folder / ".leaving")
    (supervise,) = children(svscan.pid)
    until(lambda: sorted(title_of(supervise).split()) == ["late", "staying", "supervise"])


def test_what_is_no_service_is_left_alone(tree: Tree) -> None:
    place = tree.service("s")
    tree.service(".hidden")
    (tree.folder / "file").touch()
    (tree.folder / "dangling").symlink_to("nowhere")
    svscan = tree.start("svscan", tree.folder)
    up(place)
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: warning: unable to stat dangling: file does not exist\n"
    until(lambda: [title_of(pid) for pid in children(svscan.pid)] == ["supervise s"])


def test_two_names_of_one_folder_are_one_service(tree: Tree) -> None:
    place = tree.service("s")
    (tree.folder / "again").symlink_to("s")
    svscan = tree.start("svscan", tree.folder)
    up(place)
    assert len(children(svscan.pid)) == 1
    (tree.folder / "again").unlink()


def test_the_end_of_svscan_is_not_the_end_of_its_services(tree: Tree) -> None:
    place = tree.service("s")
    svscan = tree.start("svscan", tree.folder)
    pid = up(place)
    svscan.terminate()
    assert svscan.wait(10) == -signal.SIGTERM
    assert running(place)
    kill(pid)
    up(place, other_than=pid)


def test_a_foreign_supervise_that_path_finds_first_is_execed(tree: Tree, tmp_path: Path) -> None:
    foreign = tmp_path / "bin" / "supervise"
    foreign.parent.mkdir()
    foreign.write_text('#!/bin/sh\necho "$0 $*" > called\nexec sleep 1000\n')
    foreign.chmod(0o755)
    tree.service("s")
    svscan = tree.start(BIN / "svscan", tree.folder, env={"PATH": f"{foreign.parent}:{BIN}:/usr/bin:/bin"})
    called = tree.folder / "called"
    until(lambda: called.exists() and called.read_text())
    assert called.read_text() == f"{foreign} s\n"
    (pid,) = children(svscan.pid)
    kill(pid)
    svscan.kill()
    until(lambda: gone(pid))


def test_no_supervise_at_all_is_said_and_tried_again(tree: Tree) -> None:
    tree.service("s")
    svscan = tree.start(BIN / "svscan", tree.folder, env={"PATH": "/nowhere"})
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: fatal: unable to start supervise s: file does not exist\n"
    assert svscan.poll() is None


def test_it_takes_the_current_folder_when_none_is_named(tree: Tree) -> None:
    place = tree.service("s")
    tree.start("svscan")
    assert state_of(up(place))


def test_a_folder_that_is_not_there_is_fatal(tmp_path: Path) -> None:
    done = run("svscan", "missing", cwd=tmp_path)
    assert done == (111, b"", b"svscan: fatal: unable to chdir to missing: file does not exist\n")


@pytest.mark.parametrize("come", ["link", "rename"])
def test_what_is_complete_when_it_comes_is_noticed_at_once(tree: Tree, tmp_path: Path, come: str) -> None:
    """Five seconds pass between two looks: of ten that come one after another, each is up before the next comes."""
    svscan = tree.start("svscan", tree.folder)
    until(lambda: b"inotify" in run("ls", "-l", f"/proc/{svscan.pid}/fd").out)
    began = time.monotonic()
    for number in range(10):
        place = tree.service(f".made{number}")
        if come == "rename":
            up(place.rename(tree.folder / f"made{number}"))
        else:
            place = place.rename(tmp_path / f"made{number}")
            (tree.folder / f"made{number}").symlink_to(place)
            up(place)
    assert time.monotonic() - began < 25  # ten looks would take fifty
    for place in tmp_path.glob("made*"):
        tree.svc("-dkx", place)
        until(lambda: not running(place))  # noqa: B023


@pytest.mark.long
def test_there_may_be_more_than_a_thousand_services(tree: Tree) -> None:
    tree.service("first", "ulimit -n > limit; exec sleep 1000\n")
    for number in range(1100):
        place = tree.folder / f"s{number}"
        place.mkdir()
        (place / "run").hardlink_to(tree.folder / "first" / "run")
    svscan = tree.start("svscan", tree.folder)
    until(lambda: all(pid_of(place) for place in tree.folder.glob("s*")), seconds=120)
    limits = {(place / "limit").read_text() for place in tree.folder.glob("s*") if (place / "limit").exists()}
    assert limits == {f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]}\n"}
    assert len(children(svscan.pid)) == 1


def test_services_that_have_no_descriptors_left_in_one_process_get_another(tree: Tree) -> None:
    names = [f"s{number:03}" for number in range(300)]
    places = [tree.service(name) for name in names]
    svscan = tree.start("prlimit", "--nofile=1024:1024", "svscan", tree.folder)
    pids = {place: up(place) for place in places}
    until(lambda: all(running(place) for place in places))
    supervisors = children(svscan.pid)
    assert len(supervisors) == 2
    shown = run("svstat", cwd=tree.folder, env={"SVDIR": str(tree.folder)}).out.decode().splitlines()
    assert [line.partition(" seconds")[0].rpartition(" ")[0] for line in shown] == [
        f"{name}: up (pid {pids[place]})" for name, place in zip(names, places, strict=True)
    ]
    for each in supervisors:
        kill(each)
    until(lambda: all(running(place) for place in places))
    assert {place: pid_of(place) for place in places} == pids
    until(lambda: len(children(svscan.pid)) in (2, 3))
    tree.svc("-t", *places)
    until(lambda: all(pid_of(place) not in (0, pids[place]) for place in places))


def test_a_process_with_few_descriptors_watches_what_it_can(tree: Tree) -> None:
    places = [tree.service(f"s{number}", log="exec cat >/dev/null\n") for number in range(20)]
    svscan = tree.start("prlimit", "--nofile=80:80", "svscan", tree.folder)
    parts = [part for place in places for part in (place, place / "log")]
    pids = {part: up(part) for part in parts}
    until(lambda: all(running(part) for part in parts))
    assert 1 < len(children(svscan.pid)) < 10
    tree.svc("-t", *parts)
    until(lambda: all(pid_of(part) not in (0, pids[part]) for part in parts))


@pytest.mark.parametrize("word", ["--version", "-h"])
def test_a_word_that_means_nothing_starts_nothing(word: str, tree: Tree) -> None:
    place = tree.service("s")
    assert run("svscan", word, cwd=tree.folder).code == 100
    assert not (place / "supervise").exists()
