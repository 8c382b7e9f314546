"""`after`: a service is started when those that it names are ready."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from commands import BIN
from services import DEBIAN, Tree, children, gone, kill, parent_of, pid_of, running, state, up
from until import until

NOTE = 'echo "${PWD##*/}" >> ../.order\n'
READY_WHEN_TOLD = NOTE + "read -r x < go; echo >&3; exec sleep 1000\n"


def service(tree: Tree, name: str, *after: str, script: str = NOTE + "exec sleep 1000\n", down: bool = False) -> Path:
    place = tree.service(name, script, down=down)
    if after:
        (place / "after").write_text("\n".join(after) + "\n")
    return place


def slow(tree: Tree, name: str, *after: str) -> Path:
    """A service that is ready when `allow` says so."""
    place = service(tree, name, *after, script=READY_WHEN_TOLD)
    (place / "notification-fd").write_text("3")
    os.mkfifo(place / "go")
    return place


def allow(place: Path) -> None:
    (place / "go").write_text("\n")


def order(tree: Tree) -> list[str]:
    """The services in the order in which they were started."""
    file = tree.folder / ".order"
    return file.read_text().split() if file.exists() else []


def waits(place: Path) -> bool:
    return running(place) and state(place)["state"] == "waiting"


def test_a_chain_starts_link_by_link(tree: Tree) -> None:
    last = slow(tree, "a", "b")
    middle = slow(tree, "b", "c")
    first = slow(tree, "c")
    tree.start("svscan", tree.folder)
    until(lambda: waits(last) and waits(middle) and up(first))
    assert state(last)["want"] == "up"
    allow(first)
    until(lambda: pid_of(middle))
    assert waits(last)
    allow(middle)
    until(lambda: pid_of(last))
    until(lambda: order(tree) == ["c", "b", "a"])


def test_a_diamond_starts_from_its_foot(tree: Tree) -> None:
    top = service(tree, "a", "left  right # both")
    left, right = slow(tree, "left", "z"), slow(tree, "right", "z")
    foot = slow(tree, "z")
    tree.start("svscan", tree.folder)
    up(foot)
    until(lambda: waits(left) and waits(right) and waits(top))
    allow(foot)
    until(lambda: pid_of(left) and pid_of(right))
    allow(right)
    until(lambda: "ready" in state(right))
    assert waits(top)
    allow(left)
    up(top)
    until(lambda: len(order(tree)) == 4)
    assert order(tree)[0] == "z"
    assert order(tree)[3] == "a"


def test_without_notification_up_is_ready(tree: Tree) -> None:
    service(tree, "a", "b")
    service(tree, "b")
    tree.start("svscan", tree.folder)
    until(lambda: sorted(order(tree)) == ["a", "b"])
    assert state(tree.folder / "b")["since"] < state(tree.folder / "a")["since"]


def test_what_waits_for_each_other_does_not_wait_and_is_named(tree: Tree) -> None:
    service(tree, "a", "b")
    service(tree, "b", "a")
    service(tree, "self", "self")
    service(tree, "outside", "a")
    svscan = tree.start("svscan", tree.folder)
    until(lambda: len(order(tree)) == 4)
    assert state(tree.folder / "outside")["since"] > state(tree.folder / "a")["since"]
    assert svscan.stderr
    said = {svscan.stderr.readline() for _ in range(2)}
    assert b"svscan: warning: self and self wait for each other, so neither does\n" in said | {svscan.stderr.readline()}
    assert {
        b"svscan: warning: a and b wait for each other, so neither does\n",
        b"svscan: warning: b and a wait for each other, so neither does\n",
    } & said


def test_a_name_that_is_not_there_is_named_and_waited_for(tree: Tree) -> None:
    place = service(tree, "a", "later")
    svscan = tree.start("svscan", tree.folder)
    until(lambda: waits(place))
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: warning: a waits for later, which is not here\n"
    service(tree, ".later")
    (tree.folder / "later").symlink_to(".later")
    until(lambda: len(order(tree)) == 2)
    assert order(tree) == [".later", "a"]
    (tree.folder / "later").unlink()


def test_what_is_normally_down_is_waited_for_until_somebody_wants_it(tree: Tree) -> None:
    place, other = service(tree, "a", "b"), service(tree, "b", down=True)
    tree.start("svscan", tree.folder)
    until(lambda: waits(place) and running(other))
    tree.svc("-u", other)
    until(lambda: sorted(order(tree)) == ["a", "b"])
    assert state(tree.folder / "b")["since"] < state(tree.folder / "a")["since"]


def test_what_waits_can_be_started_or_called_off_by_hand(tree: Tree) -> None:
    first, second = service(tree, "a", "z"), service(tree, "b", "z")
    foot = service(tree, "z", down=True)
    tree.start("svscan", tree.folder)
    until(lambda: waits(first) and waits(second) and running(foot))
    tree.svc("-u", first)
    up(first)
    tree.svc("-d", second)
    until(lambda: state(second)["state"] == "down")
    tree.svc("-u", foot)
    up(foot)
    third = service(tree, ".c", "z")
    (tree.folder / "c").symlink_to(".c")
    up(third)  # what comes after the news of the foot is older news by now
    assert state(second)["state"] == "down"
    assert order(tree) == ["a", "z", ".c"]
    (tree.folder / "c").unlink()


def test_who_has_started_does_not_go_down_with_those_that_it_waited_for(tree: Tree) -> None:
    place, foot = service(tree, "a", "z"), service(tree, "z")
    tree.start("svscan", tree.folder)
    pid = up(place)
    tree.svc("-d", foot)
    until(lambda: state(foot)["state"] == "down")
    kill(pid)
    up(place, other_than=pid)


def test_a_changed_file_holds_from_the_next_look_on(tree: Tree) -> None:
    place = service(tree, "a", "never")
    svscan = tree.start("svscan", "-s", tree.folder)
    until(lambda: waits(place))
    (place / "after").write_text("# nobody\n")
    svscan.send_signal(signal.SIGHUP)
    up(place)


def test_a_file_that_cannot_be_read_is_named_and_nobody_waits(tree: Tree) -> None:
    place = service(tree, "a")
    (place / "after").mkdir()
    svscan = tree.start("svscan", tree.folder)
    up(place)
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: warning: unable to read a/after: is a directory\n"


def test_a_supervisor_that_is_killed_keeps_the_order(tree: Tree) -> None:
    last, foot, off = service(tree, "a", "z"), slow(tree, "z"), service(tree, "off", "z")
    svscan = tree.start("svscan", tree.folder)
    pid = up(foot)
    until(lambda: waits(last) and waits(off))
    tree.svc("-d", off)
    until(lambda: state(off)["want"] == "down")
    for _ in range(2):
        (supervisor,) = until(lambda: len(found := children(svscan.pid)) == 1 and found)
        kill(supervisor)
        until(lambda: running(last) and running(foot) and running(off))
        assert waits(last)
        assert pid_of(foot) == pid
    allow(foot)
    up(last)
    assert order(tree) == ["z", "a"]
    assert (state(off)["state"], state(off)["want"]) == ("down", "down")


def test_a_hundred_in_a_chain(tree: Tree) -> None:
    names = [f"s{number:03}" for number in range(100)]
    for name, before in zip(names, [None, *names], strict=False):
        service(tree, name, *([before] if before else []))
    tree.start("svscan", tree.folder)
    until(lambda: len(order(tree)) == 100, seconds=60)
    until(lambda: state(tree.folder / names[-1])["state"] == "up")  # it tells so itself before supervise does
    moments = [state(tree.folder / name)["since"] for name in names]
    assert moments == sorted(moments)


@pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="Debian's daemontools is not installed")
def test_a_foreign_supervise_waits_and_is_waited_for(tree: Tree) -> None:
    last, foot = service(tree, "a", "z"), service(tree, "z", down=True)
    tree.start(BIN / "svscan", tree.folder, env={"PATH": f"{DEBIAN}:{BIN}:/usr/bin:/bin"})
    until(lambda: running(foot))
    assert not running(last)
    tree.svc("-u", foot)
    pid = up(foot)
    other = up(last)
    assert "python" not in Path(f"/proc/{parent_of(pid)}/exe").resolve().name
    assert not gone(other)
    until(lambda: order(tree) == ["z", "a"])


@pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="Debian's daemontools is not installed")
def test_what_a_foreign_supervise_said_in_another_life_does_not_count(tree: Tree) -> None:
    last, foot = service(tree, "a", "z"), service(tree, "z")
    supervise = tree.start(DEBIAN / "supervise", "z")
    pid = up(foot)
    supervise.kill()
    supervise.wait()
    kill(pid)
    assert pid_of(foot) == pid  # so it says
    (foot / "down").touch()
    tree.start(BIN / "svscan", tree.folder, env={"PATH": f"{DEBIAN}:{BIN}:/usr/bin:/bin"})
    until(lambda: running(foot) and not pid_of(foot))
    assert not running(last)
    tree.svc("-u", foot)
    up(last)
