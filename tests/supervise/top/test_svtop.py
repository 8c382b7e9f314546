"""svtop in a real terminal, on real services."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run, start
from services import DEBIAN, SLEEP, Tree, kill, pid_of, running, state, state_of, up
from terminal import Terminal
from until import until

STUBBORN = "trap '' TERM; touch begun; while :; do sleep 0.05; done\n"
HEAD = re.compile(r"NAME +STATE +FOR +RESTARTS +CPU% +MEMORY +LAST LOG LINE")
FOOT = "q quit   s sort   / filter   arrows PgUp PgDn scroll   "

Make = Callable[..., Terminal]


def watched(tree: Tree, name: str, script: str = SLEEP, *options: str, **files: str) -> Path:
    """A service with more *files* (an underscore stands for a hyphen), under a supervise of its own."""
    place = tree.service(name, script)
    for file, text in files.items():
        (place / file.replace("_", "-")).write_text(text)
        (place / file.replace("_", "-")).chmod(0o755)
    tree.start("supervise", *options, name)
    until(lambda: running(place))
    return place


def many(tree: Tree, count: int) -> list[str]:
    """Folders without a supervise; their names."""
    names = [f"s{number:03}" for number in range(count)]
    for name in names:
        (tree.folder / name).mkdir()
    return names


def rows(lines: list[str]) -> dict[str, list[str]]:
    """The words of each row by its name: state, time, restarts, CPU, memory, last line."""
    state, time = lines[1].find("STATE"), lines[1].find(" FOR ") - 3
    return {
        line[:state].strip(): [line[state:time].strip(), *line[time:].split(maxsplit=4)] for line in lines[2:-1] if line
    }


def names(lines: list[str]) -> list[str]:
    return list(rows(lines))


def plain(tree: Tree) -> dict[str, list[str]]:
    """The rows of one plain table."""
    done = run("svtop", tree.folder)
    assert (done.code, done.err) == (0, b"")
    return rows(["", *done.out.decode().splitlines(), ""])


# -- rows ----------------------------------------------------------------------------------------
def test_every_state_has_its_words(tree: Tree, terminal: Make) -> None:
    words = {"up": "up", "unready": "up, not ready", "paused": "up, paused", "stubborn": "up, want down"}
    words |= {"down": "down", "stopped": "down", "dying": "down, start in", "waiting": "waiting"}
    words |= {"ending": "ending", "finishing": "finishing", "left": "unsupervised", "broken": "unknown"}
    colours = {"up": "green", "down": "default", "dying": "red", "left": "red", "broken": "red"}

    up(watched(tree, "up"))
    up(watched(tree, "unready", notification_fd="3"))
    up(watched(tree, "paused"))
    tree.svc("-p", tree.folder / "paused")
    stubborn = watched(tree, "stubborn", STUBBORN)
    until((stubborn / "begun").exists)
    tree.svc("-d", stubborn)
    watched(tree, "down", down="")
    watched(tree, "stopped")
    tree.svc("-d", tree.folder / "stopped")
    watched(tree, "dying", "exit 1\n", max_death_tally="1")
    watched(tree, "waiting", SLEEP, "-w", after="down up\n")
    ending = watched(tree, "ending", f"({STUBBORN.strip()}) & exec sleep 1000\n", kill_tree="")
    until((ending / "begun").exists)
    watched(tree, "finishing", "exit 1\n", finish=f"#!/bin/sh\n{STUBBORN}", timeout_finish="0")
    tree.service("left")
    broken = watched(tree, "broken")
    up(broken)
    (broken / "supervise" / "status").write_bytes(b"?")

    top = terminal("svtop", "-d", "0.2", tree.folder)
    shown = top.shows("finishing ")
    assert HEAD.match(shown[1])
    tree.svc("-d", ending)
    try:
        shown = until(
            lambda: (
                {name: re.sub(r"(start in) \d+s", r"\1", row[0]) for name, row in rows(top.display).items()} == words
                and top.display
            )
        )
    except AssertionError as e:
        e.add_note("\n".join(top.display))
        raise
    found = rows(shown)
    assert [found[name][5][:20] for name in ("waiting", "left", "broken")] == [
        "waiting for down",
        "unable to open supervise/ok: file does not exist"[:20],
        "unable to read supervise/status: bad format"[:20],
    ]
    for name, word in words.items():
        assert top.colour(name + " ", word) == colours.get(name, "brown"), name
    assert all(re.fullmatch(r"\d+s", row[1]) for name, row in found.items() if name not in ("left", "broken"))
    assert found["left"][1] == found["broken"][1] == "-"
    assert re.match(r"\d\d:\d\d:\d\d   12 services, 4 up   by name   /", shown[0])
    top.press(b"q")
    assert top.ends() == (0, b"")
    assert top.restored


def test_a_row_follows_its_service(tree: Tree, terminal: Make) -> None:
    place = tree.service("s", "echo one; echo two; exec sleep 1000\n", log="exec multilog t ./main\n")
    tree.start("svscan", tree.folder)
    up(place)
    top = terminal("svtop", "-d", "0.1", tree.folder)
    found = rows(top.shows("two"))
    assert names(top.display) == ["s"]
    assert found["s"][0] == "up"
    assert (found["s"][2], found["s"][-1]) == ("0", "two")
    assert re.fullmatch(r"\d+\.\d", found["s"][3])
    assert re.fullmatch(r"[\d.]+[KM]", found["s"][4])
    pid = pid_of(place)
    tree.svc("-t", place)
    up(place, other_than=pid)
    until(lambda: rows(top.display)["s"][2] == "1")
    tree.svc("-d", place, place / "log")
    until(lambda: [row[0] for row in rows(top.display).values()] == ["down", "down"])
    assert names(top.display) == ["s", "s/log"]
    assert rows(top.display)["s"][2:5] == ["1", "-", "-"]
    assert rows(top.display)["s"][-1] == "two"
    tree.svc("-u", place, place / "log")
    until(lambda: names(top.display) == ["s"])


def test_a_service_is_all_its_processes(tree: Tree) -> None:
    python = "/usr/bin/env python3"
    small = f"exec {python} -c 'import time; time.sleep(1000)'\n"
    large = f'{python} -c \'kept = bytearray(100_000_000); open("ready", "w"); exec("while True: pass")\' & wait\n'
    up(watched(tree, "small", small))
    place = watched(tree, "large", large, kill_tree="")
    until((place / "ready").exists)
    found = until(lambda: (found := plain(tree)) and float(found["large"][3]) > 5 and found)
    assert found["large"][4].endswith("M") and float(found["large"][4][:-1]) > 95
    assert float(found["small"][3]) < float(found["large"][3])


def test_services_come_and_go_between_frames(tree: Tree, terminal: Make) -> None:
    first = watched(tree, "first")
    top = terminal("svtop", "-d", "0.1", tree.folder)
    top.shows("first")
    for _ in range(5):
        pid = up(first)
        kill(pid)
        up(first, other_than=pid)
        (tree.folder / "second").mkdir()
        until(lambda: names(top.display) == ["first", "second"])
        (tree.folder / "second").rmdir()
        until(lambda: names(top.display) == ["first"])
    moved = tree.folder.with_name("moved")
    tree.folder.rename(moved)
    top.shows("file does not exist: /")
    moved.rename(tree.folder)
    until(lambda: names(top.display) == ["first"])
    top.press(b"q")
    assert top.ends() == (0, b"")


@pytest.mark.skipif(not (DEBIAN / "svscan").exists(), reason="no original")
def test_a_tree_of_the_original(tree: Tree) -> None:
    place = tree.service("s", "echo hello; exec sleep 1000\n", log="exec /usr/bin/multilog t ./main\n")
    tree.service("down", down=True)
    tree.start(DEBIAN / "svscan", tree.folder, env={"PATH": f"{DEBIAN}:/bin"})
    up(place)
    up(place / "log")
    found = until(lambda: (found := plain(tree)) and found["s"][-1] == "hello" and found)
    assert list(found) == ["down", "s"]
    assert found["down"][0] == "down"
    assert (found["s"][0], found["s"][2]) == ("up", "-")


def test_what_a_log_says_does_nothing_to_the_screen(tree: Tree, terminal: Make) -> None:
    script = r"""printf '\033[2J\033]0;title\007\tcaf\303\251 \351 \342\200\256 %s end\n' "$(printf '%0200d' 0)"
exec sleep 1000
"""
    name = "name\x1b[31m"
    place = tree.service(name, script, log="exec multilog ./main\n")
    tree.start("svscan", tree.folder)
    until(lambda: (place / "log" / "main" / "current").exists() and "end" in line_of(place))
    top = terminal("svtop", tree.folder, columns=100)
    shown = top.shows("name?[31m")
    assert HEAD.match(shown[1])
    row = next(line for line in shown if line.startswith("name"))
    assert "?[2J?]0;title? caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{REPLACEMENT CHARACTER} ? 000" in row
    assert len(row) == 100
    assert b"\x1b[2J\x1b]" not in top.written
    table = run("svtop", tree.folder, env={"LC_ALL": "C.UTF-8"}).out.decode()
    assert table.rstrip("\n").endswith(" end")


def line_of(place: Path) -> str:
    return (place / "log" / "main" / "current").read_text(errors="replace")


# -- the screen --------------------------------------------------------------------------------------
def test_the_screen_is_filled_and_not_more(tree: Tree, terminal: Make) -> None:
    all_names = many(tree, 50)
    top = terminal("svtop", "-d", "5", tree.folder)
    shown = top.shows("s020")
    assert names(shown) == all_names[:21]
    assert shown[23] == FOOT + "1-21 of 50"
    assert len(top.screen.display) == 24
    top.resize(60, 10)
    until(lambda: top.display[-1].startswith("q quit"))
    assert names(top.display) == all_names[:7]
    top.resize(120, 40)
    shown = top.shows("1-37 of 50")
    assert names(shown) == all_names[:37]
    for columns, lines in (20, 5), (1, 1), (3, 2), (80, 3), (80, 24):
        top.resize(columns, lines)
    assert names(top.shows("1-21 of 50")) == all_names[:21]
    top.press(b"q")
    assert top.ends() == (0, b"")


def test_keys_scroll(tree: Tree, terminal: Make) -> None:
    all_names = many(tree, 50)
    top = terminal("svtop", "-d", "60", tree.folder)
    top.shows("1-21 of 50")
    for keys, first in [
        (b"\x1b[B\x1b[B", 2),
        (b"\x1b[A", 1),
        (b"\x1b[6~", 22),
        (b"\x1b[5~", 1),
        (b"\x1bOF", 29),
        (b"\x1b[B", 29),
        (b"k", 28),
        (b"\x1b[H", 0),
        (b"\x1b[A", 0),
        (b"j ", 22),
    ]:
        top.press(keys)
        assert names(top.shows(f" {first + 1}-{first + 21} of 50")) == all_names[first : first + 21]


def test_a_key_that_comes_in_pieces_is_one_key(tree: Tree, terminal: Make) -> None:
    many(tree, 50)
    top = terminal("svtop", "-d", "60", tree.folder)
    top.shows("1-21 of 50")
    top.press(b"\x1b")
    top.press(b"[B")
    top.shows(" 2-22 of 50")


def test_s_changes_the_order(tree: Tree, terminal: Make) -> None:
    up(watched(tree, "a"))
    watched(tree, "b", down="")
    tree.service("c")
    restarted = watched(tree, "d", "[ -e again ] || { touch again; exit 1; }; exec sleep 1000\n")
    until(lambda: state(restarted)["starts"] == "2")
    up(restarted)
    top = terminal("svtop", "-d", "60", tree.folder)
    top.shows("by name")
    assert names(top.display) == ["a", "b", "c", "d"]
    orders = {}
    for word in ("state", "time", "restarts", "CPU", "memory", "name"):
        top.press(b"s")
        top.shows(f"by {word}")
        orders[word] = names(top.display)
    assert orders["state"] == ["c", "b", "a", "d"]
    assert orders["time"][-1] == "c"
    assert orders["restarts"][0] == "d"
    assert orders["memory"][2:] == ["b", "c"]
    assert orders["name"] == ["a", "b", "c", "d"]


def test_a_filter_is_typed_kept_and_dropped(tree: Tree, terminal: Make) -> None:
    many(tree, 50)
    top = terminal("svtop", "-d", "60", tree.folder)
    top.shows("1-21 of 50")
    top.press(b"/q7\x7f\x7f7")
    assert names(top.shows("/7_   Enter keep   Esc drop")) == ["s007", "s017", "s027", "s037", "s047"]
    top.press(b"\r")
    top.shows("1-5 of 5   names with 7")
    top.press(b"\x1b")
    top.shows("1-21 of 50")
    top.press(b"/nothing\r")
    assert names(top.shows("nothing here")) == []
    top.press(b"\x1b/0\x1b")
    top.shows("1-21 of 50")
    top.press(b"q")
    assert top.ends() == (0, b"")


@pytest.mark.parametrize("by", ["q", "Ctrl-C", "TERM", "HUP", "frames"])
def test_the_terminal_is_given_back(tree: Tree, terminal: Make, by: str) -> None:
    many(tree, 3)
    top = terminal(
        "svtop", "-d", "60" if by != "frames" else "0.1", *(["-n", "3"] if by == "frames" else []), tree.folder
    )
    top.shows("1-3 of 3")
    if by == "q":
        assert not top.restored
        top.press(b"q")
    elif by == "Ctrl-C":
        top.press(b"\x03")
    elif by != "frames":
        os.kill(top.process.pid, getattr(signal, "SIG" + by))
    assert top.ends() == (0, b"")
    assert top.restored


def test_the_terminal_is_given_back_when_something_is_wrong(tree: Tree, terminal: Make) -> None:
    many(tree, 3)
    bug = "import supervise.top.rows as rows; from supervise.top.svtop import main; import sys\n"
    bug += "look = rows.Rows.look\nseen = []\n"
    bug += "rows.Rows.look = lambda self: look(self) if not seen.append(1) and len(seen) < 3 else 1 / 0\n"
    bug += f"sys.exit(main([b'svtop', b'-d', b'0.1', {os.fsencode(tree.folder)!r}]))"
    top = terminal("python3", "-c", bug)
    assert top.ends() == (111, b"svtop: bug: ZeroDivisionError('division by zero')\n")
    assert b"1-3 of 3" in top.written
    assert top.restored


def test_a_terminal_that_hangs_up_is_the_end(tree: Tree, terminal: Make) -> None:
    top = terminal("svtop", "-d", "60", tree.folder)
    top.shows("nothing here")
    top.hang_up()
    assert top.process.wait(10) == 0
    assert top.process.stderr and top.process.stderr.read() == b""


def test_ctrl_z_gives_the_terminal_back_for_a_while(tree: Tree, terminal: Make) -> None:
    many(tree, 3)
    top = terminal("svtop", "-d", "60", tree.folder)
    top.shows("1-3 of 3")
    top.press(b"\x1a")
    until(lambda: state_of(top.process.pid) == "T")
    assert top.restored
    top.screen.reset()
    os.kill(top.process.pid, signal.SIGCONT)
    assert names(top.shows("1-3 of 3")) == ["s000", "s001", "s002"]
    top.press(b"q")
    assert top.ends() == (0, b"")
    assert top.restored


def test_only_what_has_changed_is_drawn(tree: Tree, terminal: Make) -> None:
    many(tree, 50)
    top = terminal("svtop", "-d", "0.1", tree.folder)
    top.shows("1-21 of 50")
    before = len(top.written)
    clock = top.display[0][:8]
    until(lambda: top.display[0][:8] != clock)
    assert b"s010" not in top.written[before:]


# -- elsewhere ---------------------------------------------------------------------------------------
def test_without_a_terminal_there_is_one_plain_table(tree: Tree) -> None:
    many(tree, 50)
    up(watched(tree, "a"))
    done = run("svtop", tree.folder)
    assert (done.code, done.err) == (0, b"")
    lines = done.out.decode().splitlines()
    assert HEAD.fullmatch(lines[0])
    assert len(lines) == 52
    assert "\x1b" not in done.out.decode()
    assert not any(line.endswith(" ") for line in lines)
    twice = run("svtop", "-n", "2", "-d", "0.1", env={"SVDIR": str(tree.folder)})
    assert [bool(HEAD.fullmatch(line)) for line in twice.out.decode().splitlines()].count(True) == 2


def test_a_terminal_without_a_cursor_gets_the_plain_table(tree: Tree, terminal: Make) -> None:
    many(tree, 3)
    for term in ("dumb", None):
        top = terminal("svtop", tree.folder, env={"TERM": term})
        assert top.ends() == (0, b"")
        assert b"\x1b" not in top.written
        assert b"s002" in top.written


def test_colours_can_be_turned_off(tree: Tree, terminal: Make) -> None:
    many(tree, 3)
    top = terminal("svtop", tree.folder, env={"NO_COLOR": "1"})
    top.shows("unsupervised")
    assert top.colour("s000", "unsupervised") == "default"


def test_a_screen_without_a_keyboard_is_ended_by_signals(tree: Tree) -> None:
    many(tree, 3)
    top = start("svtop", "-n", "2", "-d", "0.1", tree.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert top.communicate(timeout=20)[0].count(b"s002") == 2
    assert top.returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["missing"], 111, "svtop: fatal: unable to chdir to missing: file does not exist\n"),
        (["a", "b"], 100, "svtop: usage: svtop [ -d SECONDS ] [ -n FRAMES ] [ dir ]\n"),
        (["-d", "0"], 100, "svtop: usage: svtop [ -d SECONDS ] [ -n FRAMES ] [ dir ]\n"),
        (["-d", "nan"], 100, "svtop: usage: svtop [ -d SECONDS ] [ -n FRAMES ] [ dir ]\n"),
        (["-n", "x"], 100, "svtop: usage: svtop [ -d SECONDS ] [ -n FRAMES ] [ dir ]\n"),
        ([], 111, "svtop: fatal: no folder of services here: name one, or set SVDIR\n"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, words: list[str], code: int, complaint: str) -> None:
    done = run("svtop", *words, cwd=tmp_path, env={"SVDIR": None, "QMAILHOME": str(tmp_path)})
    assert done == (code, b"", complaint.encode())
