"""qmail-start between programs of the test's own, which write down how they were started."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import start
from sending import Home
from until import until

NOTE = r"""#!/bin/sh
name=${0##*/}
{
  echo "$name $*"
  echo "uid $(id -u) gid $(id -g) groups $(id -G)"
  echo "umask $(umask) folder $(pwd) home $QMAILHOME"
  for fd in /proc/self/fd/*; do
    case $(readlink $fd) in pipe:*) echo "fd ${fd##*/}";; esac
  done
  echo end
} >$NOTES/$name
"""
SPAWNER = NOTE + "printf 'x'\ncat >/dev/null\n"  # the shell holds descriptor 1
CLEANER = NOTE + "cat >/dev/null\n"
LOGGER = NOTE + "exec cat >$NOTES/log\n"


@pytest.fixture
def notes(home: Home) -> Iterator[Path]:
    """The folder of what the programs wrote down; the programs are in the home."""
    notes = home.home / "notes"
    notes.mkdir()
    notes.chmod(0o777)
    (home.home / "bin").mkdir()
    for name, text in {"qmail-lspawn": SPAWNER, "qmail-rspawn": SPAWNER, "qmail-clean": CLEANER}.items():
        program(home, name, text)
    yield notes


def program(home: Home, name: str, text: str) -> Path:
    path = home.home / "bin" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def noted(notes: Path, name: str) -> dict[str, str]:
    """What program *name* wrote down: the first word of each line and the rest."""
    file = notes / name
    until(lambda: file.exists() and file.read_text().endswith("\nend\n"), what=name)
    return dict(line.split(" ", 1) for line in file.read_text().splitlines()[:-1])


def fds(notes: Path, name: str) -> set[int]:
    lines = (notes / name).read_text().splitlines()
    return {int(line.split()[1]) for line in lines if line.startswith("fd")}


def test_it_becomes_qmail_send_and_the_others_end_with_it(home: Home, notes: Path) -> None:
    home.give_away()
    user = 65534 if os.geteuid() == 0 else None
    become = {"user": user, "group": user, "extra_groups": []} if user else {}
    logger = program(home, "logger", LOGGER)
    log = os.open(os.devnull, os.O_WRONLY)
    running = start(
        "qmail-start", "./Maildir/", logger, "-x", env={"QMAILHOME": str(home.home), "NOTES": str(notes)},
        stdout=log, stderr=log, stdin=log, **become,
    )  # fmt: skip
    try:
        until(lambda: (notes / "log").exists() and "status: local 0/10 remote 0/20" in (notes / "log").read_text())
        assert noted(notes, "qmail-lspawn")["qmail-lspawn"] == "./Maildir/"
        assert noted(notes, "logger")["logger"] == "-x"
        for name in ("qmail-lspawn", "qmail-rspawn", "qmail-clean"):
            found = noted(notes, name)
            assert found["umask"].split()[0] == "0077"
            assert found["umask"].split()[2:] == ["/", "home", str(home.home)]
            assert {0, 1} <= fds(notes, name) <= {0, 1, 2}
        title = Path(f"/proc/{running.pid}/cmdline").read_bytes()
        assert title.startswith(b"qmail-send")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert len(children) == 4
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
        until(lambda: not any(alive(int(pid)) for pid in children))
        assert (notes / "log").read_text().endswith("status: exiting\n")
    finally:
        os.close(log)
        running.kill()
        running.wait()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_ours_run_in_its_child_and_are_called_what_they_are(home: Home) -> None:
    """Without programs in the home, those of PATH are called in the forked children."""
    home.give_away()
    become = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    log = home.home / "log"
    with log.open("wb") as stream:
        running = start("qmail-start", env={"QMAILHOME": str(home.home)}, stdout=stream, stderr=stream, **become)
    try:
        until(lambda: "status" in log.read_text(), what="status")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        titles = {Path(f"/proc/{pid}/cmdline").read_bytes().strip(b"\0") for pid in children}
        assert titles == {b"qmail-lspawn ./Mailbox", b"qmail-rspawn", b"qmail-clean"}
        running.send_signal(signal.SIGKILL)
        running.wait()
        until(lambda: not any(alive(int(pid)) for pid in children))
    finally:
        running.kill()
        running.wait()


def test_qmail_send_leaves_when_a_daemon_cannot_be_started(home: Home, notes: Path) -> None:
    program(home, "qmail-rspawn", "#!/bin/sh\nexit 1\n")
    home.give_away()
    become = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    log = home.home / "log"
    with log.open("wb") as stream:
        running = start("qmail-start", env={"QMAILHOME": str(home.home), "NOTES": str(notes)}, stdout=stream, **become)
    assert running.wait(20) == 111
    assert log.read_text() == "alert: cannot start: hath the daemon spawn no fire?\n"


@pytest.mark.root
def test_in_roots_instance_each_is_its_own_user(home: Home, notes: Path) -> None:
    import grp
    import pwd

    users = {name: pwd.getpwnam(name) for name in ("qmails", "qmailr", "qmailq", "qmaill")}
    program(home, "qmail-send", NOTE)
    logger = program(home, "logger", LOGGER)
    home.home.chmod(0o755)
    env = {"QMAILHOME": str(home.home), "NOTES": str(notes)}
    assert start("qmail-start", "./Mailbox", logger, env=env).wait(20) == 0
    qmail = grp.getgrnam("qmail").gr_gid
    for name, uid, gid in (
        ("qmail-send", users["qmails"].pw_uid, qmail),
        ("qmail-rspawn", users["qmailr"].pw_uid, qmail),
        ("qmail-clean", users["qmailq"].pw_uid, qmail),
        ("qmail-lspawn", 0, qmail),
        ("logger", users["qmaill"].pw_uid, users["qmaill"].pw_gid),
    ):
        assert noted(notes, name)["uid"] == f"{uid} gid {gid} groups {gid}", name
    assert fds(notes, "qmail-send") == {0, 1, 2, 3, 4, 5, 6}
    assert stat.S_ISDIR(notes.stat().st_mode)
