"""A service says that it is ready: by a line on the descriptor that `notification-fd` names."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from services import Tree, gone, kill, running, state, up
from until import until

# It has the pipe open for writing too, so that it hears of no end.
SAY_WHEN_TOLD = 'exec 6<> say; while read -r text <&6; do printf %b "$text" >&5; touch said; done\n'


def service(tree: Tree, script: str, fd: int = 5, name: str = "s") -> Path:
    place = tree.service(name, script)
    (place / "notification-fd").write_text(f"{fd}\n")
    return place


def say(place: Path, text: str) -> None:
    """Have a service with SAY_WHEN_TOLD say *text*, in the notation of printf."""
    (place / "said").unlink(missing_ok=True)
    with open(place / "say", "w") as pipe:
        pipe.write(text + "\n")
    until((place / "said").exists)


def talker(tree: Tree) -> Path:
    """A service that says what it is told."""
    place = service(tree, SAY_WHEN_TOLD)
    os.mkfifo(place / "say")
    return place


def is_ready(place: Path) -> bool:
    return "ready" in state(place)


@pytest.mark.parametrize("fd", [3, 4, 5, 6, 7, 9])
def test_a_line_means_ready(tree: Tree, fd: int) -> None:
    place = service(tree, f"echo ready >&{fd}; exec sleep 1000\n", fd)
    tree.start("supervise", "s")
    until(lambda: is_ready(place) if up(place) else False)
    assert state(place)["notification"] == str(fd)


def test_a_large_number_is_a_descriptor_too(tree: Tree) -> None:
    place = service(tree, "exec python3 -S -c 'import os, time; os.write(1000, b\"\\n\"); time.sleep(1000)'\n", 1000)
    tree.start("supervise", "s")
    until(lambda: is_ready(place) if up(place) else False)


@pytest.mark.parametrize("with_kill_tree", [False, True])
def test_there_is_no_other_descriptor(tree: Tree, with_kill_tree: bool) -> None:
    look = "for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done > fds; exec sleep 1000\n"
    place = service(tree, look, 3)
    if with_kill_tree:
        (place / "kill-tree").touch()
    tree.start("supervise", "s")
    pid = up(place)
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert (place / "fds").read_text().split() == ["0", "1", "2", "3"]


def test_up_is_not_ready(tree: Tree) -> None:
    place = talker(tree)
    tree.start("supervise", "s")
    up(place)
    assert state(place)["notification"] == "5"
    assert not is_ready(place)
    say(place, "\\n")
    until(lambda: is_ready(place))


def test_text_before_the_line_end_means_nothing_yet(tree: Tree) -> None:
    place = talker(tree)
    tree.start("supervise", "s")
    up(place)
    for piece in ("almost", " almost", ", but not quite"):
        say(place, piece)
    assert not is_ready(place)
    say(place, "now\\nand more")
    until(lambda: is_ready(place))


def test_closing_without_a_line_is_not_ready(tree: Tree) -> None:
    place = service(tree, "printf text >&5; exec 5>&-; touch closed; exec sleep 1000\n")
    tree.start("supervise", "s")
    pid = up(place)
    until((place / "closed").exists)
    tree.svc("-p", place)
    until(lambda: "paused" in state(place))
    assert not is_ready(place)
    kill(pid)
    up(place, other_than=pid)


def test_who_never_closes_it_is_ready_and_goes_on(tree: Tree) -> None:
    place = talker(tree)
    tree.start("supervise", "s")
    pid = up(place)
    for _ in range(3):
        say(place, "ready\\n")
    until(lambda: is_ready(place))
    assert up(place) == pid


def test_each_life_says_it_anew(tree: Tree) -> None:
    place = talker(tree)
    tree.start("supervise", "s")
    pid = up(place)
    say(place, "\\n")
    until(lambda: is_ready(place))
    kill(pid)
    up(place, other_than=pid)
    assert not is_ready(place)
    say(place, "\\n")
    until(lambda: is_ready(place))


def test_what_the_last_life_has_left_behind_cannot_make_the_next_one_ready(tree: Tree) -> None:
    place = service(
        tree, "mkfifo say$$; (touch hears$$; read -r x < say$$; echo >&5; touch said$$) &\nexec sleep 1000\n"
    )
    tree.start("supervise", "s")
    old = up(place)
    until((place / f"hears{old}").exists)
    kill(old)
    new = up(place, other_than=old)
    until((place / f"hears{new}").exists)
    (place / f"say{old}").write_text("\n")
    until((place / f"said{old}").exists)
    tree.svc("-p", place)  # its answer comes after all that supervise had to hear
    until(lambda: "paused" in state(place))
    assert not is_ready(place)
    (place / f"say{new}").write_text("\n")
    until(lambda: is_ready(place))


@pytest.mark.parametrize("closes", [False, True])
def test_what_is_said_while_nobody_hears_is_heard_by_the_next_supervise(tree: Tree, closes: bool) -> None:
    script = "read -r x < say; echo >&5;" + (" exec 5>&-;" if closes else "") + " touch said; exec sleep 1000\n"
    place = service(tree, script)
    os.mkfifo(place / "say")
    old = tree.start("supervise", "s")
    pid = up(place)
    old.kill()
    old.wait()
    (place / "say").write_text("\n")
    until((place / "said").exists)
    assert not is_ready(place)
    tree.start("supervise", "s")
    until(lambda: is_ready(place))
    assert up(place) == pid


def test_what_was_said_is_known_to_the_next_supervise(tree: Tree) -> None:
    place = service(tree, "echo >&5; exec sleep 1000\n")
    old = tree.start("supervise", "s")
    pid = up(place)
    before = until(lambda: state(place).get("ready"))
    old.kill()
    old.wait()
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert (up(place), state(place)["ready"], state(place)["notification"]) == (pid, before, "5")


def test_what_is_said_after_the_change_of_supervise_is_heard(tree: Tree) -> None:
    place = talker(tree)
    old = tree.start("supervise", "s")
    up(place)
    old.kill()
    old.wait()
    tree.start("supervise", "s")
    until(lambda: running(place))
    assert not is_ready(place)
    say(place, "\\n")
    until(lambda: is_ready(place))


def test_a_service_that_is_killed_before_it_is_ready_is_not(tree: Tree) -> None:
    place = talker(tree)
    tree.start("supervise", "s")
    pid = up(place)
    tree.svc("-d", place)
    until(lambda: gone(pid) and state(place)["state"] == "down")
    assert not {"ready", "notification"} & state(place).keys()


def test_many_services_say_it_through_one_supervise(tree: Tree) -> None:
    places = [service(tree, "echo >&5; exec sleep 1000\n", name=f"s{number}") for number in range(20)]
    quiet = service(tree, "exec sleep 1000\n", name="quiet")
    tree.start("svscan", tree.folder)
    until(lambda: all(up(place) and is_ready(place) for place in places))
    assert up(quiet)
    assert not is_ready(quiet)


@pytest.mark.parametrize(
    ("content", "why"), [("999999", "no descriptor from 3 to 1023: 999999"), ("", "not a number: ")]
)
def test_a_number_that_makes_no_sense_is_a_warning(tree: Tree, content: str, why: str) -> None:
    place = tree.service("s")
    (place / "notification-fd").write_text(content)
    supervise = tree.start("supervise", "s")
    assert supervise.stderr
    assert supervise.stderr.readline() == b"supervise: warning: s/notification-fd: %s\n" % why.encode()
    up(place)
    assert "notification" not in state(place)


def test_no_file_for_it_is_said_and_tried_again(tree: Tree) -> None:
    place = service(tree, "exec sleep 1000\n")
    (place / "supervise" / "notifications").mkdir(parents=True)
    supervise = tree.start("supervise", "s")
    assert supervise.stderr
    assert supervise.stderr.readline() == b"supervise: fatal: unable to start s/run: is a directory\n"
    (place / "supervise" / "notifications").rmdir()
    up(place)


def test_signals_go_on_while_it_is_not_ready(tree: Tree) -> None:
    place = talker(tree)
    tree.start("supervise", "s")
    pid = up(place)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    up(place, other_than=pid)
