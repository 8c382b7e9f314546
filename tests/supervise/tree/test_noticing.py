"""What comes to the folder is noticed: a link or a folder that was renamed at once, anything else at the next look."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from services import Tree, children, gone, pid_of, running, title_of, up
from until import until


def look(tree: Tree) -> None:
    """Wait for a look at the folder: the next one is five seconds away then."""
    place = tree.service("seen-by-a-look")
    up(place)


def start_and_look(tree: Tree) -> None:
    """Start svscan, and wait for a look that is not one of those at its start."""
    there = tree.service("there-at-the-start")
    tree.start("svscan", tree.folder)
    up(there)
    look(tree)


def test_a_link_is_noticed_before_the_next_look(tree: Tree, tmp_path: Path) -> None:
    other = Tree(tmp_path)
    start_and_look(tree)
    made_in_place = tree.service("made")
    (tree.folder / "link").symlink_to(other.service("elsewhere"))
    up(tree.folder / "link")
    assert not running(made_in_place)
    up(made_in_place)


def test_a_folder_that_was_renamed_is_noticed_before_the_next_look(tree: Tree) -> None:
    start_and_look(tree)
    made_in_place = tree.service("made")
    tree.service(".hidden").rename(tree.folder / "shown")
    up(tree.folder / "shown")
    assert not running(made_in_place)


def test_hup_is_a_look(tree: Tree) -> None:
    svscan = tree.start("svscan", "-s", tree.folder)
    look(tree)
    first, second = tree.service("first"), tree.service("second")
    svscan.send_signal(signal.SIGHUP)
    up(first)
    up(second)


def test_a_link_that_comes_with_its_log_gets_both(tree: Tree, tmp_path: Path) -> None:
    place = Tree(tmp_path).service("elsewhere", "echo hello; exec sleep 1000\n", log="exec cat >> heard\n")
    tree.start("svscan", tree.folder)
    look(tree)
    (tree.folder / "link").symlink_to(place)
    until(lambda: (place / "log" / "heard").exists() and (place / "log" / "heard").read_text() == "hello\n")


def test_what_is_no_service_is_no_news(tree: Tree) -> None:
    svscan = tree.start("svscan", tree.folder)
    look(tree)
    (tree.folder / "file").touch()
    (tree.folder / ".link").symlink_to("/")
    (tree.folder / "dangling").symlink_to("nowhere")
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: warning: unable to stat dangling: file does not exist\n"
    assert [title_of(pid) for pid in children(svscan.pid)] == ["supervise seen-by-a-look"]
    (tree.folder / "dangling").unlink()


def test_a_second_name_is_no_second_service(tree: Tree) -> None:
    place = tree.service("s", "echo >> starts; exec sleep 1000\n")
    svscan = tree.start("svscan", "-s", tree.folder)
    pid = up(place)
    (tree.folder / "again").symlink_to("s")
    look(tree)
    assert pid_of(place) == pid
    until(lambda: [title_of(child) for child in children(svscan.pid)] == ["supervise s seen-by-a-look"])
    (tree.folder / "again").unlink()


def test_a_service_that_was_renamed_is_still_the_same(tree: Tree) -> None:
    place = tree.service("s", "echo >> starts; exec sleep 1000\n")
    svscan = tree.start("svscan", "-s", tree.folder)
    pid = up(place)
    place = place.rename(tree.folder / "new")
    look(tree)
    (supervisor,) = children(svscan.pid)
    os.kill(supervisor, signal.SIGKILL)
    until(
        lambda: (
            [title_of(child) for child in children(svscan.pid)] == ["supervise new seen-by-a-look"]
            or [title_of(child) for child in children(svscan.pid)] == ["supervise seen-by-a-look new"]
        )
    )
    assert pid_of(place) == pid
    assert not gone(pid)


def test_more_links_than_the_kernel_tells_of_are_all_noticed(tree: Tree) -> None:
    place = tree.service(".s")
    svscan = tree.start("svscan", tree.folder)
    look(tree)
    os.kill(svscan.pid, signal.SIGSTOP)
    for number in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) + 10):
        (tree.folder / f".{number}").touch()
        (tree.folder / f".{number}").unlink()
    (tree.folder / "link").symlink_to(".s")
    made_in_place = tree.service("made")
    os.kill(svscan.pid, signal.SIGCONT)
    up(place)
    up(made_in_place)
    (tree.folder / "link").unlink()


def listens(pid: int) -> bool:
    """Whether a process may have a descriptor of inotify."""
    try:
        return any("inotify" in os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # one was closed meanwhile
        return True


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
@pytest.mark.parametrize("fails", ["inotify_init1:error=EMFILE", "inotify_add_watch:error=ENOSPC"])
def test_where_the_kernel_does_not_tell_the_next_look_finds_it(tree: Tree, fails: str) -> None:
    place = tree.service(".s")
    trace = ("strace", "-D", "-f", "-o", "/dev/null", "-e", f"inject={fails}")
    svscan = tree.start(*trace, "svscan", tree.folder)
    assert svscan.stderr
    said = svscan.stderr.readline()
    assert said.startswith(b"svscan: warning: unable to watch the directory, so looking every 5 seconds: ")
    (tree.folder / "link").symlink_to(".s")
    up(place)
    until(lambda: not listens(svscan.pid), what="no descriptor is left of the attempt")
    (tree.folder / "link").unlink()


def test_a_folder_that_is_removed_is_no_trouble(tree: Tree) -> None:
    folder = tree.folder / ".watched"
    folder.mkdir()
    svscan = tree.start("svscan", "-s", folder)
    until(lambda: watches(svscan.pid))
    folder.rmdir()
    svscan.send_signal(signal.SIGHUP)
    svscan.terminate()
    assert svscan.wait(10) == 0


def watches(pid: int) -> bool:
    """Whether a process is told of changes in some folder."""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if "inotify" in os.readlink(fd):
                return True
        except FileNotFoundError:  # it has been closed since
            pass
    return False
