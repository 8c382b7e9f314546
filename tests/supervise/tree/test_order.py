"""Services that wait for others: the files `after`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from commands import BIN
from services import DEBIAN, Tree, children, gone, kill, pid_of, running, state, up
from until import until

READY = """
echo {name} >> ../started
while [ ! -e go ]; do sleep 0.02; done
echo {name} ready >> ../started
echo >&3
exec sleep 1000
"""


def ordered(tree: Tree, name: str, after: str = "") -> Path:
    """A service that is ready when there is a file `go` in it."""
    place = tree.service(name, READY.format(name=name))
    (place / "notification-fd").write_text("3\n")
    if after:
        (place / "after").write_text(after)
    return place


def started(tree: Tree) -> list[str]:
    file = tree.folder / "started"
    return file.read_text().splitlines() if file.exists() else []


def test_each_waits_until_all_that_it_names_are_ready(tree: Tree) -> None:
    for name, after in {"d": "b c\n", "b": "a # the first\n", "c": "a\n", "a": ""}.items():
        ordered(tree, name, after)
    tree.start("svscan", tree.folder)
    until(lambda: started(tree) == ["a"])
    until(lambda: all(running(tree.folder / name) for name in "bcd"))
    assert {state(tree.folder / name)["state"] for name in "bcd"} == {"waiting"}
    (tree.folder / "a" / "go").touch()
    until(lambda: sorted(started(tree)) == ["a", "a ready", "b", "c"])
    (tree.folder / "b" / "go").touch()
    until(lambda: "b ready" in started(tree))
    assert "d" not in started(tree)
    (tree.folder / "c" / "go").touch()
    until(lambda: started(tree)[-1] == "d")


def test_those_that_wait_for_each_other_are_started(tree: Tree) -> None:
    ordered(tree, "a", "b\n")
    ordered(tree, "b", "a\n")
    svscan = tree.start("svscan", tree.folder)
    until(lambda: sorted(started(tree)) == ["a", "b"])
    assert svscan.stderr
    said = {svscan.stderr.readline(), svscan.stderr.readline()}
    assert said == {
        b"svscan: warning: a and b wait for each other, so neither does\n",
        b"svscan: warning: b and a wait for each other, so neither does\n",
    }


def test_a_name_that_is_not_there_is_waited_for(tree: Tree) -> None:
    ordered(tree, "a", "later\n")
    svscan = tree.start("svscan", tree.folder)
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: warning: a waits for later, which is not here\n"
    place = tree.service(".later")
    place.rename(tree.folder / "later")
    until(lambda: started(tree) == ["a"])


@pytest.mark.parametrize("word", ["-u", "-o"])
def test_who_waits_is_started_when_somebody_wants_it(tree: Tree, word: str) -> None:
    place = ordered(tree, "a", "never\n")
    tree.start("svscan", tree.folder)
    until(lambda: running(place))
    tree.svc(word, place)
    until(lambda: started(tree) == ["a"])


def test_who_waits_stays_down_when_somebody_wants_that(tree: Tree) -> None:
    place = ordered(tree, "a", "b\n")
    other = ordered(tree, "b")
    tree.start("svscan", tree.folder)
    until(lambda: running(place) and started(tree) == ["b"])
    tree.svc("-d", place)
    until(lambda: state(place)["state"] == "down")
    (other / "go").touch()
    until(lambda: "b ready" in started(tree))
    late = ordered(tree, ".c", "b\n")
    late.rename(tree.folder / "c")
    until(lambda: ".c" in started(tree))  # as it was called when it was made
    assert "a" not in started(tree)


def test_who_waits_still_waits_when_the_supervisor_is_killed(tree: Tree) -> None:
    place = ordered(tree, "a", "b\n")
    other = ordered(tree, "b")
    svscan = tree.start("svscan", tree.folder)
    until(lambda: running(place) and started(tree) == ["b"])
    first = up(other)
    (supervise,) = children(svscan.pid)
    kill(supervise)
    until(lambda: running(place) and running(other))
    assert state(place)["state"] == "waiting"
    assert pid_of(other) == first
    (other / "go").touch()
    until(lambda: started(tree) == ["b", "b ready", "a"])


def test_it_goes_on_when_what_it_has_waited_for_goes_down(tree: Tree) -> None:
    place, other = ordered(tree, "a", "b\n"), ordered(tree, "b")
    (other / "go").touch()
    tree.start("svscan", tree.folder)
    first = up(place)
    tree.svc("-d", other)
    until(lambda: not pid_of(other))
    assert pid_of(place) == first
    os.kill(first, signal.SIGKILL)
    up(place, other_than=first)


@pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="Debian's daemontools is not installed")
def test_a_foreign_supervise_is_started_when_it_is_time(tree: Tree) -> None:
    place = tree.service("a")
    (place / "after").write_text("b\n")
    other = tree.service("b", down=True)
    tree.start(BIN / "svscan", tree.folder, env={"PATH": f"{DEBIAN}:{BIN}:/bin"})
    until(lambda: running(other))
    assert not running(place)
    tree.svc("-u", other)
    assert not gone(up(place))
