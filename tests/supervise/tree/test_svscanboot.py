"""svscanboot: svscan and readproctitle in a clean state, as init starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, run, start
from services import DEBIAN, Tree, gone, kill, parent_of, running, title_of, up
from until import until

from supervise.tree import svscanboot

ORIGINAL = DEBIAN / "svscanboot"
USUAL = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"
SHOW = """\
tr '\\0' '\\n' < /proc/$$/environ > environment
echo "a complaint of $PWD" >&2
exec sleep 1000
"""


class Boot:
    """A running svscanboot and its two children."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.readproctitle = self.child("readproctitle")
        self.svscan = self.child("svscan")

    def child(self, name: str) -> int:
        return until(lambda: next((pid for pid in self.children() if comm(pid) == name), 0), what=name)

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self) -> None:
        for pid in (self.process.pid, self.svscan, self.readproctitle):
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture(params=["ours", "original"])
def boot(request: pytest.FixtureRequest, tree: Tree, tmp_path: Path) -> Iterator[Boot]:
    """A svscanboot on the services of *tree*, which has one, s, that complains: ours, or Debian's on our folder."""
    tree.service("s", SHOW)
    given = os.open(tmp_path, os.O_RDONLY)
    if request.param == "ours":
        program = [BIN / "svscanboot", tree.folder]
    elif ORIGINAL.exists():
        (tmp_path / "svscanboot").write_text(ORIGINAL.read_text().replace("/etc/service", str(tree.folder)))
        program = ["sh", tmp_path / "svscanboot"]
    else:
        pytest.skip("no original")
    boot = Boot(start(*program, pass_fds=(given,) if request.param == "ours" else (), env={"STRANGE": "x"}))
    os.close(given)
    yield boot
    boot.end()


def test_services_start_in_a_clean_state(boot: Boot, tree: Tree) -> None:
    service = up(tree.folder / "s")
    until(lambda: comm(service) == "sleep")
    ours = [] if title_of(boot.process.pid).startswith("sh ") else [f"{BIN}:"]
    assert (tree.folder / "s" / "environment").read_text() == f"PATH={''.join(ours)}{USUAL}\n"
    pipe = os.readlink(f"/proc/{boot.readproctitle}/fd/0")
    places = {int(fd.name): os.readlink(fd) for fd in Path(f"/proc/{service}/fd").iterdir()}
    assert places == {0: "/dev/null", 1: pipe, 2: pipe}


def test_what_services_say_shows_in_the_list_of_processes(boot: Boot, tree: Tree) -> None:
    said = f"a complaint of {tree.folder}/s\n"
    dots = "." * (400 - len(said))
    until(lambda: title_of(boot.readproctitle) == f"readproctitle service errors: {dots}{said}")
    assert title_of(boot.svscan) == f"svscan {tree.folder}"
    assert parent_of(boot.svscan) == parent_of(boot.readproctitle) == boot.process.pid


def test_it_is_kept_by_whoever_could_complain(boot: Boot, tree: Tree) -> None:
    service = up(tree.folder / "s")
    kill(boot.svscan)
    assert not gone(boot.readproctitle) and boot.process.poll() is None
    kill(parent_of(service))
    assert not gone(boot.readproctitle) and boot.process.poll() is None
    kill(service)
    assert boot.process.wait(10) == 0
    assert gone(boot.readproctitle)


def test_a_signal_ends_svscanboot_alone(boot: Boot, tree: Tree) -> None:
    up(tree.folder / "s")
    boot.process.terminate()
    assert boot.process.wait(10) == -signal.SIGTERM
    assert not gone(boot.svscan) and not gone(boot.readproctitle) and running(tree.folder / "s")


def test_the_end_of_readproctitle_by_a_signal_is_told_as_a_shell_does(boot: Boot, tree: Tree) -> None:
    service = up(tree.folder / "s")
    until(lambda: "complaint" in title_of(boot.readproctitle))
    kill(boot.readproctitle)
    kill(boot.svscan)
    assert boot.process.wait(10) == 128 + signal.SIGKILL
    kill(parent_of(service))
    kill(service)


def test_what_an_earlier_svscan_has_left_is_ended_first(tree: Tree) -> None:
    place = tree.service("s", log="exec cat > /dev/null\n")
    left = tree.start("svscan", tree.folder)
    service, log = up(place), up(place / "log")
    kill(left.pid)
    assert running(place) and running(place / "log")
    boot = Boot(start("svscanboot", tree.folder))
    try:
        assert up(place, other_than=service) and gone(service)
        assert up(place / "log", other_than=log) and gone(log)
        assert parent_of(parent_of(up(place, other_than=service))) == boot.svscan
    finally:
        boot.end()


def test_its_own_output_is_nobodys(tree: Tree) -> None:
    assert run("svscanboot", tree.folder / "missing") == (0, b"", b"")


def test_complaints_of_svscan_itself_show_too(tmp_path: Path, tree: Tree) -> None:
    (tree.folder / "dangling").symlink_to("nowhere")
    boot = Boot(start("svscanboot", tree.folder))
    said = "svscan: warning: unable to stat dangling: file does not exist\n"
    try:
        until(lambda: title_of(boot.readproctitle).endswith(said))
    finally:
        (tree.folder / "dangling").unlink()
        boot.end()


def test_where_the_services_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert svscanboot.PLACES == (b"/service", b"/etc/service")
    first, second = (os.fsencode(tmp_path / name) for name in ("service", "etc-service"))
    monkeypatch.setattr(svscanboot, "PLACES", (first, second))
    assert svscanboot.usual_place() == first
    os.mkdir(second)
    assert svscanboot.usual_place() == second
    os.mkdir(first)
    assert svscanboot.usual_place() == first


def test_commands_outside_the_usual_folders_are_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/svscanboot"])
    assert svscanboot.path() == USUAL.encode()
    (tmp_path / "svscanboot").symlink_to("/opt/elsewhere/bin/svscanboot")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "svscanboot")])
    assert svscanboot.path() == b"/opt/elsewhere/bin:" + USUAL.encode()


def test_the_original_says_the_same_path_and_as_many_dots() -> None:
    if not ORIGINAL.exists():
        pytest.skip("no original")
    lines = ORIGINAL.read_text().splitlines()
    assert f"PATH={svscanboot.PATH.decode()}" in lines
    assert lines[-1] == "env - PATH=$PATH " + b" ".join(svscanboot.READPROCTITLE).decode()
