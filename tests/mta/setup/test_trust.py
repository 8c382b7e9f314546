"""qmail-setup, run by root, does nothing for those whom root does not trust."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Result, run
from instance import NOBODY
from oldhome import OldHome

from mta.queue.queue import acting_as

pytestmark = pytest.mark.root


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="trust-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def setup(*words: str | Path) -> Result:
    return run("qmail-setup", "--host", "mail.example", *words, cwd="/")


def take(scratch: Path) -> Result:
    return setup("--from", scratch / "old", scratch / "new")


def test_a_home_that_somebody_else_made_is_not_taken_over(scratch: Path) -> None:
    OldHome(scratch / "old", NOBODY)
    done = take(scratch)
    assert done.code == 111
    assert b"/old belongs to uid 65534, and not to root or a user of qmail: " in done.err
    assert not (scratch / "new/control/me").exists()


@pytest.mark.parametrize("part", ["control", "users", "alias", "queue", "queue/mess", "queue/mess/3", "queue/lock"])
def test_nor_one_in_which_somebody_else_has_a_folder_or_a_link_to_one(scratch: Path, part: str) -> None:
    old = OldHome(scratch / "old", None)
    folder = old.folder / part
    os.chown(folder, NOBODY, NOBODY)
    assert f"/old/{part} belongs to uid 65534".encode() in take(scratch).err
    os.chown(folder, 0, 0)
    folder.rename(scratch / "away")
    folder.symlink_to(scratch / "away")
    os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
    assert f"/old/{part} belongs to uid 65534".encode() in take(scratch).err


def test_a_link_that_root_made_is_followed(scratch: Path) -> None:
    old = OldHome(scratch / "old", None)
    (old.folder / "control").rename(scratch / "etc")
    (old.folder / "control").symlink_to(scratch / "etc")
    assert take(scratch).code == 0
    assert (scratch / "new/control/rcpthosts").read_text() == "mail.example\n"


def test_settings_are_roots_and_nobody_elses_to_write(scratch: Path) -> None:
    old = OldHome(scratch / "old", None)
    old.write("users/cdb", "\0" * 2048, "qmaild", 0o664)
    old.write("users/below/program", "x\n", "qmaild", 0o6777)
    assert take(scratch).code == 0
    for name, mode in (("cdb", 0o100644), ("below/program", 0o100755)):
        copied = (scratch / "new/users" / name).stat()
        assert (copied.st_uid, copied.st_mode) == (0, mode)
    assert (scratch / "new/users/below").stat().st_uid == 0


def test_a_file_that_no_queue_has_is_named_and_the_others_are_taken(scratch: Path) -> None:
    old = OldHome(scratch / "old", None)
    good, bad = (old.active(text, [b"Tjoe@old.example"]) for text in (b"good", b"bad"))
    os.truncate(old.queue / "local" / str(bad % 23) / str(bad), 1 << 31)
    done = take(scratch)
    assert done.code == 1 and good != bad
    assert b"message %d: local is larger than any such file: left there\n" % bad in done.out
    assert b"took over 1 messages" in done.out


def test_who_acts_as_somebody_has_no_groups_of_roots() -> None:
    groups = os.getgroups()
    alias = pwd.getpwnam("alias")
    with acting_as(alias.pw_uid, alias.pw_gid):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (alias.pw_uid, alias.pw_gid, [])
    assert (os.geteuid(), os.getgroups()) == (0, groups)


def test_nothing_is_mended_behind_a_link_that_is_not_roots(scratch: Path) -> None:
    home, elsewhere = scratch / "home", scratch / "elsewhere"
    assert setup(home).code == 0
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "tcpto").write_text("root's\n")
    (home / "queue/lock").rename(home / "queue/away")
    (home / "queue/lock").symlink_to(elsewhere)
    qmailq = pwd.getpwnam("qmailq")
    os.chown(home / "queue/lock", qmailq.pw_uid, qmailq.pw_gid, follow_symlinks=False)
    done = setup("--fix", home)
    assert b"queue/lock: damaged: not a folder\n" in done.out
    assert b"queue/lock/tcpto: not looked at: " in done.out
    assert (elsewhere / "tcpto").read_text() == "root's\n"
    assert os.listdir(elsewhere) == ["tcpto"]


def test_in_a_plain_users_home_root_is_that_user_whatever_is_missing_there(scratch: Path) -> None:
    home, elsewhere = scratch / "home", scratch / "elsewhere"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    elsewhere.mkdir()
    for name in ("queue", "alias", "control"):
        (home / name).symlink_to(elsewhere)
        os.chown(home / name, NOBODY, NOBODY, follow_symlinks=False)
    assert setup(home).code == 111
    assert os.listdir(elsewhere) == []
