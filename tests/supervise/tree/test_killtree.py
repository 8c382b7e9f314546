"""kill-tree: the end of ./run is the end of all that it has started, and only then it is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Tree, children, gone, kill, parent_of, pid_of, running, state, up
from until import until

from supervise.tree.processtree import own_group

# What a daemon does to get away: a session of its own, and a parent that is gone.
DAEMON = f"""{sys.executable} -S -c '
import os, signal, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for each in sys.argv[1:]: signal.signal(int(each), signal.SIG_IGN)
os.chdir("/")
with open(os.environ["WHERE"] + "/daemons", "a") as file: file.write(str(os.getpid()) + "\\n")
while True: signal.pause()
' """
START = "export WHERE=$PWD\n"


def can_make_groups() -> bool:
    """Whether control groups can be made here."""
    folder = own_group()
    try:
        assert folder
        os.mkdir(folder + b"/pyqmail-test")
        os.rmdir(folder + b"/pyqmail-test")
    except (AssertionError, OSError):
        return False
    return True


WAYS = ["group", "orphans"] if can_make_groups() else ["orphans"]
WITHOUT_GROUPS = ("unshare", "--mount", "sh", "-c", 'umount -a -t cgroup2; exec "$@"', "sh")


class Grove:
    """A tree whose supervises find processes in one of two ways."""

    def __init__(self, tree: Tree, way: str) -> None:
        self.tree, self.way = tree, way

    def service(self, script: str, name: str = "s", kill: bool = True) -> Path:
        place = self.tree.service(name, START + script)
        if kill:
            (place / "kill-tree").touch()
        return place

    def start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        """Start a svscan or supervise, where there are no control groups unless we want them."""
        if self.way == "group" or WAYS == ["orphans"]:
            return self.tree.start(*argv)
        return self.tree.start(*WITHOUT_GROUPS, *argv)

    def groups(self) -> list[Path]:
        """The control groups that there are of its services."""
        mine = {f"{place.stat().st_ino}" for place in self.tree.folder.iterdir()}
        folder = own_group()
        if not folder or not os.path.isdir(folder):
            return []
        return [each for each in Path(os.fsdecode(folder)).iterdir() if each.name.rpartition(".")[2] in mine]


@pytest.fixture(params=WAYS)
def grove(tree: Tree, request: pytest.FixtureRequest) -> Iterator[Grove]:
    if request.param == "orphans" and WAYS != ["orphans"] and subprocess.run(["unshare", "--mount", "true"]).returncode:
        pytest.skip("control groups cannot be hidden here")
    grove = Grove(tree, request.param)
    yield grove
    tree.end()
    assert not grove.groups()


def daemons(place: Path, number: int) -> list[int]:
    """Wait until *number* daemons have been started."""
    file = place / "daemons"
    return until(lambda: file.exists() and len(found := file.read_text().split()) == number and [int(p) for p in found])


def test_daemons_go_when_the_service_is_put_down(grove: Grove) -> None:
    place = grove.service(2 * DAEMON.replace("' ", "'\n") + "exec sleep 1000\n")
    grove.start("supervise", "s")
    pid = up(place)
    found = daemons(place, 2)
    assert ("tree" in state(place)) == (grove.way == "group")
    grove.tree.svc("-d", place)
    until(lambda: gone(pid) and all(gone(each) for each in found))
    until(lambda: state(place)["state"] == "down")


def test_daemons_go_before_the_next_start(grove: Grove) -> None:
    look = (
        "for each in $(cat daemons 2>/dev/null); do\n"
        "grep -q '^State:.[^Z]' /proc/$each/status 2>/dev/null && touch beside\ndone\n"
    )
    place = grove.service(look + DAEMON + "\nexec sleep 1000\n")
    grove.start("supervise", "s")
    for number in range(1, 4):
        pid = until(lambda: (pid := pid_of(place)) and not gone(pid) and pid)
        found = daemons(place, number)
        kill(pid)
        until(lambda: gone(found[-1]))  # noqa: B023
    daemons(place, 4)
    assert not (place / "beside").exists()


def test_what_ignores_term_is_killed(grove: Grove) -> None:
    place = grove.service(DAEMON + f"{int(signal.SIGTERM)}\nexec sleep 1000\n")
    (place / "timeout-kill").write_text("200")
    grove.start("supervise", "s")
    kill_me = up(place)
    (daemon,) = daemons(place, 1)
    kill(kill_me)
    until(lambda: gone(daemon))
    up(place, other_than=kill_me)


def test_what_is_stopped_ends_too(grove: Grove) -> None:
    place = grove.service(DAEMON + "\nexec sleep 1000\n")
    grove.start("supervise", "s")
    pid = up(place)
    (daemon,) = daemons(place, 1)
    os.kill(daemon, signal.SIGSTOP)
    grove.tree.svc("-d", place)
    until(lambda: gone(daemon) and gone(pid))


def test_until_then_it_is_ending(grove: Grove) -> None:
    place = grove.service(DAEMON + f"{int(signal.SIGTERM)}\nexec sleep 1000\n")
    (place / "timeout-kill").write_text("1000000")
    (place / "finish").write_text("#!/bin/sh\ntouch finished\n")
    (place / "finish").chmod(0o755)
    grove.start("supervise", "s")
    pid = up(place)
    (daemon,) = daemons(place, 1)
    kill(pid)
    until(lambda: state(place)["state"] == "ending")
    assert (state(place)["pid"], state(place)["ended"], pid_of(place)) == ("0", "256 9", 0)
    grove.tree.svc("-d", place)
    assert not (place / "finished").exists()
    grove.tree.svc("-k", place)
    until(lambda: gone(daemon) and state(place)["state"] == "down")
    assert (place / "finished").exists()


BOMB = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
deadline = time.monotonic() + 60  # should nobody find us
while time.monotonic() < deadline:
    if os.fork():
        os._exit(0)
    os.setsid()
    open(f"{sys.argv[1]}/bomb", "w").write(str(os.getpid()))
"""


def test_what_forks_all_the_time_is_caught(grove: Grove) -> None:
    place = grove.service(f"{sys.executable} -S bomb.py $PWD &\nexec sleep 1000\n")
    (place / "bomb.py").write_text(BOMB)
    (place / "timeout-kill").write_text("100")
    grove.start("supervise", "s")
    pid = up(place)
    until((place / "bomb").exists)
    grove.tree.svc("-d", place)
    until(lambda: gone(pid) and state(place)["state"] == "down")
    last = (place / "bomb").read_bytes()
    until(lambda: not running_like(place))
    assert (place / "bomb").read_bytes() == last


def running_like(place: Path) -> list[int]:
    """The processes that have *place* in their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{place}\0".encode() in file.read_bytes():
                found.append(int(file.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def test_other_services_of_the_same_svscan_are_left_alone(grove: Grove) -> None:
    place = grove.service(DAEMON + "\nexec sleep 1000\n")
    twin = grove.service(DAEMON + "\nexec sleep 1000\n", "twin")
    other = grove.service(DAEMON + "\nexec sleep 1000\n", "other", kill=False)
    svscan = grove.start("svscan", grove.tree.folder)
    pids = {each: up(each) for each in (place, twin, other)}
    found = {each: daemons(each, 1)[0] for each in pids}
    until(lambda: len(children(svscan.pid)) == (1 if grove.way == "group" else 3))
    for _ in range(2):
        kill(pid_of(place))
        until(lambda: gone(found[place]))
        found[place] = until(lambda: (new := daemons_of(place)[-1]) != found[place] and new)
    for each in (twin, other):
        assert pid_of(each) == pids[each]
        assert not gone(pids[each])
        assert not gone(found[each])
    grove.tree.svc("-d", other)
    until(lambda: gone(pids[other]))
    assert not gone(found[other])
    os.kill(found[other], signal.SIGKILL)


def daemons_of(place: Path) -> list[int]:
    return [int(word) for word in (place / "daemons").read_text().split()]


def test_a_service_that_wants_it_later_gets_it(grove: Grove) -> None:
    place = grove.service(DAEMON + "\nexec sleep 1000\n", kill=False)
    other = grove.service("exec sleep 1000\n", "other", kill=False)
    grove.start("svscan", grove.tree.folder)
    pid, others = up(place), up(other)
    (daemon,) = daemons(place, 1)
    (place / "kill-tree").touch()
    kill(pid)
    pid = up(place, other_than=pid)
    assert not gone(daemon)
    _, second = daemons(place, 2)
    until(lambda: running(place))
    grove.tree.svc("-d", place)
    until(lambda: gone(pid) and gone(second))
    assert pid_of(other) == others
    os.kill(daemon, signal.SIGKILL)


def is_known(grove: Grove, place: Path, pid: int) -> bool:
    """Whether the next supervise can know of the orphan *pid*."""
    return grove.way == "group" or str(pid) in state(place).get("orphans", "").split()[::2]


def test_the_next_supervises_find_the_tree(grove: Grove) -> None:
    place = grove.service(DAEMON + "\nexec sleep 1000\n")
    old = grove.start("supervise", "s")
    pid = up(place)
    (daemon,) = daemons(place, 1)
    for _ in range(2):
        until(lambda: is_known(grove, place, daemon))
        old.kill()
        old.wait()
        old = grove.start("supervise", "s")
        until(lambda: running(place))
        assert pid_of(place) == pid
    grove.tree.svc("-d", place)
    until(lambda: gone(pid) and gone(daemon) and state(place)["state"] == "down")
    assert "orphans" not in state(place)


# A child in a session of its own, which starts one more whenever it is told to.
CHILD = f"""{sys.executable} -S -c '
import os, signal
os.setsid()
def more(*_):
    pid = os.fork()
    if pid == 0: os.setsid()
    with open("daemons", "a") as file: file.write(str(os.getpid()) + chr(10)) if pid == 0 else None
signal.signal(signal.SIGUSR1, more)
with open("daemons", "a") as file: file.write(str(os.getpid()) + chr(10))
while True: signal.pause()
' &
exec sleep 1000
"""


@pytest.mark.parametrize("ended_by", ["svc", "itself"])
def test_the_next_supervise_finds_what_is_still_below_run(grove: Grove, ended_by: str) -> None:
    place = grove.service(CHILD)
    old = grove.start("supervise", "s")
    pid = up(place)
    (child,) = daemons(place, 1)
    old.kill()
    old.wait()
    grove.start("supervise", "s")
    until(lambda: running(place))
    os.kill(child, signal.SIGUSR1)
    found = daemons(place, 2)
    if ended_by == "svc":
        grove.tree.svc("-d", place)
    else:
        kill(pid)
        up(place, other_than=pid)
    until(lambda: gone(pid) and all(gone(each) for each in found))


@pytest.mark.parametrize("again", [False, True])
def test_what_was_ending_goes_on_ending(grove: Grove, again: bool) -> None:
    place = grove.service(DAEMON + f"{int(signal.SIGTERM)}\nexec sleep 1000\n")
    (place / "timeout-kill").write_text("1000000")
    old = grove.start("supervise", "s")
    pid = up(place)
    (daemon,) = daemons(place, 1)
    if again:
        kill(pid)
        until(lambda: state(place)["state"] == "ending" and is_known(grove, place, daemon))
        old.kill()
    else:  # ./run ends while nobody watches
        until(lambda: is_known(grove, place, daemon))
        old.kill()
        kill(pid)
    old.wait()
    (place / "timeout-kill").write_text("200")
    grove.start("supervise", "s")
    until(lambda: gone(daemon))
    up(place, other_than=pid)


def test_a_group_that_is_there_from_before_is_used(grove: Grove) -> None:
    place = grove.service("exec sleep 1000\n")
    pid = 0
    for _ in range(2):
        supervise = grove.start("supervise", "s")
        pid = up(place, other_than=pid)
        if grove.way == "group":
            (group,) = grove.groups()
            until(lambda: str(pid) in (group / "cgroup.procs").read_text().split())  # noqa: B023
            assert state(place)["tree"] == str(group)
        supervise.kill()
        supervise.wait()
        kill(pid)
    grove.start("supervise", "s")
    up(place, other_than=pid)


def test_children_of_threads_are_found_too(grove: Grove) -> None:
    threads = (
        f"exec {sys.executable} -S -c 'import subprocess, threading, time\n"
        'def work(): subprocess.Popen(["sh", "-c", "echo $$ >> daemons; trap : TERM; sleep 1000 & wait; wait"])\n'
        "for _ in range(3):\n each = threading.Thread(target=work); each.start(); each.join()\n"
        "time.sleep(1000)'\n"
    )
    place = grove.service(threads)
    (place / "timeout-kill").write_text("200")
    grove.start("supervise", "s")
    pid = up(place)
    found = daemons(place, 3)
    assert parent_of(found[0]) == pid
    grove.tree.svc("-d", place)
    until(lambda: gone(pid) and all(gone(each) for each in found))


@pytest.mark.root
def test_a_user_who_may_not_make_groups_gets_it_too(tree: Tree) -> None:
    import pwd

    user = pwd.getpwnam("qmaild")
    place = tree.service("s", START + DAEMON + "\nexec sleep 1000\n")
    (place / "kill-tree").touch()
    for each in (tree.folder, place):
        os.chown(each, user.pw_uid, user.pw_gid)
    for each in tree.folder.parents:
        if each.stat().st_uid == 0 and str(each).startswith("/tmp/"):
            each.chmod(0o755)
    tree.start("setuidgid", "qmaild", "supervise", "s")
    pid = up(place)
    (daemon,) = daemons(place, 1)
    assert "tree" not in state(place)
    kill(pid)
    until(lambda: gone(daemon))
    up(place, other_than=pid)
