"""svscan -s brings services down: those first that others do not need, logs last and complete."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import services
from commands import BIN
from services import DEBIAN, Tree, children, gone, kill, parent_of, pid_of, running, state
from until import until

# It notes when it has ended, some time after TERM; what it waits for is a child, so TERM is heard at once.
NOTE_END = """
trap 'kill $!; sleep 0.1; echo "${PWD##*/}" >> ../.ends; exit' TERM
sleep 1000 & : > listens; wait
"""
STUBBORN = "trap '' TERM; touch stubborn; while :; do sleep 0.1; done\n"


def service(tree: Tree, name: str, *after: str, script: str = NOTE_END, log: str | None = None) -> Path:
    place = tree.service(name, script, log=log)
    if after:
        (place / "after").write_text(" ".join(after))
    return place


def ends(tree: Tree) -> list[str]:
    file = tree.folder / ".ends"
    return file.read_text().split() if file.exists() else []


def start(tree: Tree, *places: Path) -> subprocess.Popen[bytes]:
    """Start a svscan that stops, and wait for *places*."""
    svscan = tree.start("svscan", "-s", tree.folder)
    for place in places:
        up(place)
    return svscan


def up(place: Path, other_than: int = 0) -> int:
    """Wait until the service in *place* is up, and has said what it does on TERM; its process."""
    pid = services.up(place, other_than)
    until(lambda: "listens" not in (place / "run").read_text() or (place / "listens").exists())
    return pid


def stop(svscan: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    svscan.send_signal(number)
    assert svscan.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_goes_down_in_reverse_order(tree: Tree, number: int) -> None:
    places = [
        service(tree, "a", "b"),
        service(tree, "b", "c", "d"),
        service(tree, "c", "e"),
        service(tree, "d", "e"),
        service(tree, "e"),
        service(tree, "f"),
    ]
    svscan = start(tree, *places)
    pids = [pid_of(place) for place in places]
    stop(svscan, number)
    assert all(gone(pid) for pid in pids)
    assert not any(running(place) for place in places)
    order = [name for name in ends(tree) if name != "f"]
    assert order in (["a", "b", "c", "d", "e"], ["a", "b", "d", "c", "e"])
    assert "f" in ends(tree)


def test_who_wait_for_each_other_go_together(tree: Tree) -> None:
    places = [service(tree, "a", "b"), service(tree, "b", "a"), service(tree, "c", "a")]
    stop(start(tree, *places))
    assert ends(tree)[0] == "c"
    assert sorted(ends(tree)) == ["a", "b", "c"]


def test_an_empty_folder_is_down_already(tree: Tree) -> None:
    svscan = tree.start("svscan", "-s", tree.folder)
    until(lambda: "SigCgt" in Path(f"/proc/{svscan.pid}/status").read_text() and handles(svscan.pid, signal.SIGTERM))
    stop(svscan)


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")]
    return bool(mask & 1 << number - 1)


def test_without_the_option_services_stay(tree: Tree) -> None:
    place = service(tree, "a")
    svscan = tree.start("svscan", tree.folder)
    pid = up(place)
    svscan.terminate()
    assert svscan.wait(10) == -signal.SIGTERM
    assert not gone(pid)
    assert running(place)


@pytest.mark.parametrize("lines", [10, 20000])
def test_a_log_has_all_that_its_service_said_at_the_end(tree: Tree, lines: int) -> None:
    talk = f"""
    trap 'kill $!; i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; done; exit' TERM
    sleep 1000 & : > listens; wait
    """
    place = service(tree, "s", script=talk, log="exec multilog s16777215 ./main\n")
    svscan = start(tree, place, place / "log")
    until((place / "log" / "main" / "current").exists)
    stop(svscan)
    assert (place / "log" / "main" / "current").read_text() == "".join(f"line {n}\n" for n in range(1, lines + 1))
    assert not running(place / "log")


def test_a_log_that_is_slow_has_the_time_to_read_all(tree: Tree) -> None:
    talk = "trap 'kill $!; echo one; echo two; exit' TERM; sleep 1000 & : > listens; wait\n"
    place = service(tree, "s", script=talk, log="while read -r line; do sleep 0.3; echo $line >> heard; done\n")
    svscan = start(tree, place, place / "log")
    stop(svscan)
    assert (place / "log" / "heard").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_log_that_died_just_before_is_started_to_read_the_rest(tree: Tree, number: int) -> None:
    talk = f"""
    trap 'kill $!; read -r log < log/pid; kill -{number} $log; while kill -0 $log; do :; done; echo last; exit' TERM
    sleep 1000 & : > listens; wait
    """
    place = service(tree, "s", script=talk, log="echo $$ > pid; exec cat >> heard\n")
    svscan = start(tree, place, place / "log")
    until((place / "log" / "heard").exists)
    stop(svscan)
    assert (place / "log" / "heard").read_text() == "last\n"


def test_a_log_that_is_killed_while_it_reads_the_rest_is_started_again(tree: Tree) -> None:
    place = service(tree, "s", log="if [ -e ran ]; then exec cat >> heard; fi; touch ran; exec sleep 1000\n")
    (place / "run").write_text((place / "run").read_text().replace("sleep 0.1", "echo last"))
    svscan = start(tree, place, place / "log")
    until((place / "log" / "ran").exists)
    svscan.terminate()
    until(lambda: "leaving" in state(place / "log"))
    kill(pid_of(place / "log"))
    assert svscan.wait(30) == 0
    assert (place / "log" / "heard").read_text() == "last\n"


def test_a_log_that_cannot_run_holds_nobody_up(tree: Tree) -> None:
    place = service(tree, "s", script="echo unheard; exec sleep 1000\n", log="exit 111\n")
    svscan = start(tree, place)
    stop(svscan)
    assert not running(place / "log")


def test_a_log_that_somebody_has_put_down_stays_down(tree: Tree) -> None:
    place = service(tree, "s", script="exec sleep 1000\n", log="touch started; exec cat\n")
    (place / "log" / "down").touch()
    svscan = start(tree, place)
    until(lambda: running(place / "log"))
    stop(svscan)
    assert not (place / "log" / "started").exists()


def test_a_writer_that_lingers_holds_the_log_up_for_a_while_only(tree: Tree) -> None:
    linger = "(trap '' TERM; sleep 1000 & echo $! > lingering; wait) &\nexec sleep 1000\n"
    place = service(tree, "s", script=linger, log="exec cat >> heard\n")
    svscan = start(tree, place, place / "log")
    until(lambda: (place / "lingering").exists() and (place / "lingering").read_text())
    log = pid_of(place / "log")
    before = time.monotonic()
    stop(svscan)
    assert time.monotonic() - before > 4
    assert gone(log)
    os.kill(int((place / "lingering").read_text()), signal.SIGKILL)


def test_what_ignores_term_is_killed_if_its_folder_says_so(tree: Tree) -> None:
    place = service(tree, "s", script=STUBBORN)
    (place / "timeout-kill").write_text("300")
    svscan = start(tree, place)
    until((place / "stubborn").exists)
    pid = pid_of(place)
    stop(svscan)
    assert gone(pid)


def test_what_ignores_term_otherwise_is_waited_for_and_named(tree: Tree) -> None:
    place = service(tree, "s", script=STUBBORN)
    svscan = start(tree, place)
    until((place / "stubborn").exists)
    svscan.terminate()
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: still waiting for s\n"
    assert svscan.poll() is None
    os.kill(pid_of(place), signal.SIGKILL)
    assert svscan.wait(10) == 0


def test_term_twice_is_term(tree: Tree) -> None:
    place = service(tree, "s")
    svscan = start(tree, place)
    svscan.terminate()
    svscan.terminate()
    assert svscan.wait(10) == 0
    assert ends(tree) == ["s"]


def test_nothing_new_is_started_on_the_way_down(tree: Tree) -> None:
    foot = service(tree, "z", script=STUBBORN)
    svscan = start(tree, foot)
    svscan.terminate()
    until(lambda: state(foot)["want"] == "down")
    tree.service(".new", "touch started\n")
    (tree.folder / "new").symlink_to(".new")
    svscan.send_signal(signal.SIGHUP)
    os.kill(pid_of(foot), signal.SIGKILL)
    assert svscan.wait(10) == 0
    assert not (tree.folder / ".new" / "started").exists()
    (tree.folder / "new").unlink()


def test_who_waits_when_it_comes_is_not_started(tree: Tree) -> None:
    place = service(tree, "a", "z", script="touch started; exec sleep 1000\n")
    foot = service(tree, "z", script="read -r x < go; echo >&3; exec sleep 1000\n")
    (foot / "notification-fd").write_text("3")
    os.mkfifo(foot / "go")
    svscan = start(tree, foot)
    until(lambda: state(place)["state"] == "waiting" if running(place) else False)
    stop(svscan)
    assert not (place / "started").exists()


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_supervisor_that_is_killed_on_the_way_down_is_replaced(tree: Tree, moment: str) -> None:
    talk = """
    trap 'kill $!; touch told; while [ ! -e go ]; do sleep 0.02; done; echo last; exit' TERM
    sleep 1000 & : > listens; wait
    """
    place = service(tree, "s", script=talk, log="exec cat >> heard\n")
    other = service(tree, "other", "s")
    svscan = start(tree, place, place / "log", other)
    pids = [pid_of(place), pid_of(place / "log"), pid_of(other)]
    (supervisor,) = children(svscan.pid)
    if moment == "before":
        os.kill(svscan.pid, signal.SIGSTOP)
        kill_unreaped(supervisor)
        svscan.terminate()
        os.kill(svscan.pid, signal.SIGCONT)
        until((place / "told").exists)
    else:
        svscan.terminate()
        until((place / "told").exists)
        kill_unreaped(supervisor)
        until(lambda: running(place) and running(place / "log"))
    (place / "go").touch()
    assert svscan.wait(30) == 0
    assert all(gone(pid) for pid in pids)
    assert ends(tree) == ["other"]
    assert (place / "log" / "heard").read_text() == "last\n"
    assert not any(running(each) for each in (place, place / "log", other))


def kill_unreaped(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_at_once_is_no_trouble(tree: Tree, number: int) -> None:
    """As Ctrl-C in a terminal does: services, logs and the supervisor get it too."""
    script = "trap 'echo last; exit' INT TERM; : > listens; while :; do sleep 0.05; done\n"
    place = service(tree, "s", script=script, log="exec multilog ./main\n")
    other = service(tree, "other", "s")
    (other / "finish").write_text("#!/bin/sh\ntouch finished\n")
    (other / "finish").chmod(0o755)
    svscan = tree.start("setsid", "svscan", "-s", tree.folder)
    pids = [up(each) for each in (place, place / "log", other)]
    assert os.getpgid(pids[0]) == svscan.pid
    until((place / "log" / "main" / "current").exists)
    os.killpg(svscan.pid, number)
    assert svscan.wait(30) == 0
    assert all(gone(pid) for pid in pids)
    assert "".join(file.read_text() for file in (place / "log" / "main").glob("[@c]*")) == "last\n"
    until((other / "finished").exists)


def test_a_service_whose_name_is_gone_goes_down_too(tree: Tree) -> None:
    place = service(tree, ".s", log="exec cat\n")
    (tree.folder / "s").symlink_to(".s")
    svscan = tree.start("svscan", "-s", tree.folder)
    pid = up(place)
    (tree.folder / "s").unlink()
    stop(svscan)
    assert gone(pid)
    assert not running(place)


def test_a_service_that_has_taken_the_name_of_another_is_not_taken_for_it(tree: Tree) -> None:
    place = service(tree, "s")
    svscan = start(tree, place)
    pid = pid_of(place)
    place.rename(tree.folder / ".old")
    place = service(tree, "s", script="exec sleep 1000\n")
    stop(svscan)
    assert gone(pid)
    assert not running(tree.folder / ".old")
    assert not running(place)


def test_the_end_of_an_essential_service_is_the_end_of_all(tree: Tree) -> None:
    place, other = service(tree, "s", script="read -r x < go; exit 9\n"), service(tree, "other", "s")
    os.mkfifo(place / "go")
    (place / "essential").touch()
    svscan = tree.start("svscan", tree.folder)
    up(other)
    (place / "go").write_text("\n")
    assert svscan.wait(20) == 9
    assert ends(tree) == ["other"]
    assert svscan.stderr
    assert svscan.stderr.readline() == b"svscan: s, which is essential, has ended with 9\n"


def test_an_essential_service_that_is_killed_tells_how(tree: Tree) -> None:
    place = service(tree, "s")
    (place / "essential").touch()
    svscan = start(tree, place)
    kill(pid_of(place))
    assert svscan.wait(20) == 128 + signal.SIGKILL


def test_an_essential_service_may_be_put_down_and_up(tree: Tree) -> None:
    place = service(tree, "s")
    (place / "essential").touch()
    svscan = start(tree, place)
    pid = pid_of(place)
    tree.svc("-d", place)
    until(lambda: gone(pid) and state(place)["state"] == "down")
    tree.svc("-u", place)
    up(place, other_than=pid)
    assert svscan.poll() is None
    stop(svscan)


def test_an_essential_service_that_ends_while_the_supervisor_is_away_is_the_end_of_all(tree: Tree) -> None:
    place, other = service(tree, "s"), service(tree, "other")
    (place / "essential").touch()
    svscan = start(tree, place, other)
    pid = pid_of(place)
    os.kill(svscan.pid, signal.SIGSTOP)
    kill_unreaped(parent_of(pid))
    kill(pid)
    os.kill(svscan.pid, signal.SIGCONT)
    assert svscan.wait(20) == 111  # nobody knows how it ended
    assert not running(other)


@pytest.mark.skipif(not (DEBIAN / "supervise").exists(), reason="Debian's daemontools is not installed")
def test_foreign_supervises_are_brought_down_too(tree: Tree) -> None:
    places = [service(tree, "a", "b", log="exec cat >> heard\n"), service(tree, "b", "c"), service(tree, ".c")]
    (tree.folder / "c").symlink_to(".c")
    env = {"PATH": f"{DEBIAN}:{BIN}:/usr/bin:/bin"}
    svscan = tree.start(BIN / "svscan", "-s", tree.folder, env=env)
    pids = [up(place) for place in places]
    (tree.folder / "c").unlink()
    stop(svscan)
    assert all(gone(pid) for pid in pids)
    assert ends(tree)[:2] == ["a", "b"] or ends(tree)[0] == ".c"
    assert not any(running(place) for place in [*places, places[0] / "log"])
