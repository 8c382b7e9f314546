"""What does not end in time is killed, and what dies too often waits longer and longer."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from services import Tree, gone, running, state, up
from until import until

from supervise import stamp

STUBBORN = "trap '' TERM; touch stubborn; while :; do sleep 0.1; done\n"


def moment(label: str) -> float:
    return stamp.unpack(bytes.fromhex(label[1:])) / 1e9


def test_what_ignores_term_is_killed_after_its_time(tree: Tree) -> None:
    place = tree.service("s", STUBBORN)
    (place / "timeout-kill").write_text("300\n")
    tree.start("supervise", "s")
    pid = up(place)
    until((place / "stubborn").exists)
    before = time.monotonic()
    tree.svc("-d", place)
    until(lambda: gone(pid))
    assert time.monotonic() - before > 0.3
    until(lambda: state(place).get("ended") == f"256 {signal.SIGKILL}")


@pytest.mark.parametrize("content", [None, "0\n", "never\n"])
def test_without_a_limit_it_has_all_the_time(tree: Tree, content: str | None) -> None:
    place = tree.service("s", STUBBORN)
    if content:
        (place / "timeout-kill").write_text(content)
    tree.start("supervise", "s")
    pid = up(place)
    until((place / "stubborn").exists)
    tree.svc("-d", place)
    until(lambda: state(place)["want"] == "down")
    (place / "timeout-kill").write_text("1\n")
    assert not gone(pid)
    tree.svc("-d", place)  # the limit holds from the next time on
    until(lambda: gone(pid))


def test_other_signals_have_no_limit(tree: Tree) -> None:
    place = tree.service("s", STUBBORN)
    (place / "timeout-kill").write_text("1\n")
    tree.start("supervise", "s")
    pid = up(place)
    until((place / "stubborn").exists)
    for option in ("-t", "-p", "-c"):
        tree.svc(option, place)
    until(lambda: "paused" not in state(place))
    assert not gone(pid)


def test_a_stopped_service_goes_down_too(tree: Tree) -> None:
    place = tree.service("s")
    tree.start("supervise", "s")
    pid = up(place)
    tree.svc("-p", place)
    until(lambda: "paused" in state(place))
    tree.svc("-d", place)
    until(lambda: gone(pid))


def test_the_next_supervise_keeps_the_limit(tree: Tree) -> None:
    place = tree.service("s", STUBBORN)
    (place / "timeout-kill").write_text("1000000")
    old = tree.start("supervise", "s")
    pid = up(place)
    until((place / "stubborn").exists)
    tree.svc("-d", place)
    until(lambda: state(place)["want"] == "down")
    old.kill()
    old.wait()
    (place / "timeout-kill").write_text("100")
    tree.start("supervise", "s")
    until(lambda: gone(pid))
    until(lambda: state(place)["state"] == "down")
    assert state(place)["want"] == "down"


def test_what_dies_too_often_is_put_off_until_somebody_wants_it(tree: Tree) -> None:
    place = tree.service("s", "echo >> starts; exit 1\n")
    (place / "max-death-tally").write_text("2\n")
    tree.start("supervise", "s")
    told = until(lambda: (told := state(place) if running(place) else {}).get("next") and told)
    assert told["starts"] == "2"
    assert moment(told["next"]) - moment(told["since"]) == pytest.approx(2.0)
    told = until(lambda: (told := state(place)).get("starts") == "3" and told.get("next") and told)
    assert moment(told["next"]) - moment(told["since"]) == pytest.approx(4.0)
    assert moment(told["next"]) - time.time() > 1.0
    tree.svc("-u", place)
    told = until(lambda: (told := state(place)).get("starts") == "4" and told.get("next") and told)
    assert moment(told["next"]) - moment(told["since"]) == pytest.approx(8.0)
    tree.svc("-d", place)
    until(lambda: "next" not in state(place))
    assert state(place)["state"] == "down"
    assert len((place / "starts").read_text().splitlines()) == 4


def test_the_next_supervise_goes_on_counting(tree: Tree) -> None:
    place = tree.service("s", "echo >> starts; exit 1\n")
    (place / "max-death-tally").write_text("1\n")
    old = tree.start("supervise", "s")
    told = until(lambda: (told := state(place) if running(place) else {}).get("starts") == "3" and told)
    told = until(lambda: (told := state(place)).get("next") and told["starts"] == "3" and told)
    assert told["short"] == "3"
    old.kill()
    old.wait()
    tree.start("supervise", "s")
    until(lambda: running(place))
    again = state(place)
    assert (again["starts"], again["short"]) == ("3", "3")
    assert moment(again["next"]) == pytest.approx(moment(told["next"]))
    tree.svc("-u", place)
    told = until(lambda: (told := state(place)).get("starts") == "4" and told.get("next") and told)
    assert moment(told["next"]) - moment(told["since"]) == pytest.approx(16.0)


def test_an_essential_service_that_ends_ends_its_supervise(tree: Tree) -> None:
    place: Path = tree.service("s", "exit 7\n")
    (place / "essential").touch()
    assert tree.start("supervise", "s").wait(10) == 7
