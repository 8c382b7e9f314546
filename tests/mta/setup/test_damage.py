"""Every damage that a home can take, piece by piece: qmail-setup finds it, and mends what can be mended."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from instance import Instance

from mta.queue import layout
from mta.setup import users
from mta.setup.plan import LINK, pieces
from mta.setup.services import SERVICES
from supervise.errors import Temporary

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]

# Some of a home as the originals' hier made it: owner, group, mode.  In a plain user's home all belongs to that user.
LAYOUT = {
    ".": ("root", "qmail", 0o755),
    "alias": ("alias", "qmail", 0o2755),
    "control": ("root", "qmail", 0o755),
    "queue": ("qmailq", "qmail", 0o750),
    "queue/bounce": ("qmails", "qmail", 0o700),
    "queue/info/0": ("qmails", "qmail", 0o700),
    "queue/intd": ("qmailq", "qmail", 0o700),
    "queue/local/22": ("qmails", "qmail", 0o700),
    "queue/lock": ("qmailq", "qmail", 0o750),
    "queue/lock/sendmutex": ("qmails", "qmail", 0o600),
    "queue/lock/tcpto": ("qmailr", "qmail", 0o644),
    "queue/lock/trigger": ("qmails", "qmail", 0o622),
    "queue/mess": ("qmailq", "qmail", 0o750),
    "queue/mess/17": ("qmailq", "qmail", 0o750),
    "queue/pid": ("qmailq", "qmail", 0o700),
    "queue/remote/5": ("qmails", "qmail", 0o700),
    "queue/todo": ("qmailq", "qmail", 0o750),
    "run": ("qmailq", "qmail", 0o755),
    "service/qmail-send": ("root", "qmail", 0o1755),
    "service/qmail-send/log/main": ("qmaill", "nofiles", 0o755),
    "service/qmail-send/run": ("root", "qmail", 0o755),
    "users": ("root", "qmail", 0o755),
}


@pytest.fixture(params=KINDS)
def mail(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A home that nothing runs in."""
    mail = Instance(request.param)
    yield mail
    mail.remove()


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below *folder*: owner, group, mode, time of change, content."""
    found: dict[str, tuple[object, ...]] = {}
    for place, names, files in os.walk(folder):
        for name in (".", *names, *files):
            file = Path(place, name)
            status = file.lstat()
            content = file.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(file)] = (status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns, content)
    return found


def check(mail: Instance) -> list[str]:
    """What --check says is wrong, without the home's path; it says so with its exit code, too."""
    result = run("qmail-setup", "--check", mail.home, user=mail.runner, cwd=mail.scratch)
    assert result.err == b"" and result.code == (1 if result.out else 0)
    return [line.removeprefix(f"{mail.home}/") for line in result.out.decode().splitlines()]


def fix(mail: Instance) -> None:
    """--fix mends everything."""
    result = run("qmail-setup", "--fix", mail.home, user=mail.runner, cwd=mail.scratch)
    assert (result.code, result.err) == (0, b"")
    assert check(mail) == []


# -- laying out --------------------------------------------------------------------------------


def test_a_home_has_the_owners_and_modes_of_the_originals(mail: Instance) -> None:
    for name, (owner, group, mode) in LAYOUT.items():
        status = (mail.home / name).lstat()
        if mail.rooted:
            assert (pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name) == (owner, group), name
        else:
            assert status.st_uid == mail.uid, name
        assert stat.S_IMODE(status.st_mode) == mode, name
    assert stat.S_ISFIFO((mail.home / "queue/lock/trigger").stat().st_mode)
    assert (mail.home / "queue/lock/tcpto").read_bytes() == bytes(1024)
    assert len(list((mail.home / "queue/mess").iterdir())) == 23


def test_nothing_in_a_home_is_setuid_or_writable_for_everybody(mail: Instance) -> None:
    for name, (_, _, mode, *_) in state(mail.home).items():
        assert isinstance(mode, int)
        if not stat.S_ISLNK(mode):
            assert not mode & (stat.S_ISUID | stat.S_IWOTH) or name.endswith("lock/trigger"), name


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("qmail-setup", "--host", "mail.example", tmp_path / "file" / "home")
    assert result.code == 111 and result.err.count(b"\n") == 1 and b"file/home" in result.err


# -- checking and mending ----------------------------------------------------------------------


def plan(mail: Instance, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pieces that have an owner and a mode, by their path below the home."""
    monkeypatch.setenv("QMAILHOME", str(mail.home))
    return [os.fsdecode(piece.path) for piece in pieces(SERVICES) if piece.kind != LINK and piece.mode]


def test_each_wrong_mode_is_found_and_mended(mail: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    names = plan(mail, monkeypatch)
    before = {name: (mail.home / name).stat().st_mode for name in names}
    assert len(names) > 100
    for name in names:
        (mail.home / name).chmod(before[name] ^ 0o001)
    found = check(mail)
    assert len(found) == len(names)
    for name in names[1:]:
        mode = stat.S_IMODE(before[name])
        assert f"{name}: mode {mode ^ 0o001:04o}, should be {mode:04o}" in found
    fix(mail)
    assert {name: (mail.home / name).stat().st_mode for name in names} == before


@pytest.mark.root
def test_each_wrong_owner_is_found_and_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = Instance(True)
    try:
        names = plan(mail, monkeypatch)[1:]  # a home that belongs to somebody else is a plain user's
        before = {name: (mail.home / name).stat() for name in names}
        for name in names:
            os.chown(mail.home / name, 61003, 61003)
        assert len([line for line in check(mail) if ": owner 61003:61003, should be " in line]) == len(names)
        fix(mail)
        for name in names:
            after = (mail.home / name).stat()
            assert (after.st_uid, after.st_gid, after.st_mode) == before[name][4:6] + before[name][0:1], name
    finally:
        mail.remove()


@pytest.mark.parametrize("name", ["queue/lock/trigger", "queue/lock/tcpto", "queue/lock/sendmutex", "control/me"])
def test_a_folder_in_the_place_of_something_else_is_found_and_left_to_a_person(mail: Instance, name: str) -> None:
    (mail.home / name).unlink()
    (mail.home / name).mkdir()
    assert f"{name}: damaged: not a {'fifo' if name.endswith('trigger') else 'file'}" in check(mail)
    assert run("qmail-setup", "--fix", mail.home, user=mail.runner, cwd=mail.scratch).code != 0
    assert (mail.home / name).is_dir()


def test_a_folder_that_leads_elsewhere_is_found(mail: Instance) -> None:
    mess = mail.queue / "mess/3"
    mess.rename(mail.scratch / "elsewhere")
    mess.symlink_to(mail.scratch / "elsewhere")
    assert "queue/mess/3: damaged: not a folder" in check(mail)


@pytest.mark.parametrize("size", [0, 1023, 1025])
def test_a_tcpto_of_another_size_is_found_and_mended(mail: Instance, size: int) -> None:
    os.truncate(mail.queue / "lock/tcpto", size)
    assert check(mail) == [f"queue/lock/tcpto: damaged: {size} bytes, should be 1024"]
    fix(mail)


# -- messages ----------------------------------------------------------------------------------


def put(mail: Instance, *kinds: str, number: int | None = None) -> int:
    """Make files of a message, by default with the number that it ought to have."""
    draft = mail.queue / "pid" / "draft"
    draft.write_text("x\n")
    number = number or draft.stat().st_ino
    for kind in kinds:
        split = f"{number % layout.SPLIT}/" if os.fsencode(kind) in layout.SPLIT_NAMES else ""
        file = mail.queue / kind / f"{split}{number}"
        os.link(draft, file) if kind == "mess" else file.write_text("x\0")
        file.chmod(0o644 if kind in ("mess", "intd", "todo") else 0o600)
        if mail.rooted:
            who = "qmailq" if kind in ("mess", "intd", "todo") else "qmails"
            os.chown(file, pwd.getpwnam(who).pw_uid, grp.getgrnam("qmail").gr_gid)
        elif mail.runner is not None:
            os.chown(file, mail.runner, mail.runner)
    draft.unlink()
    return number


@pytest.mark.parametrize("kinds", [["mess"], ["mess", "intd", "todo"], ["mess", "info", "local", "remote", "bounce"]])
def test_messages_in_legal_states_are_in_order(mail: Instance, kinds: list[str]) -> None:
    put(mail, *kinds)
    assert check(mail) == []


@pytest.mark.parametrize("kinds", [["info"], ["todo", "intd"], ["mess", "local"], ["mess", "info", "intd"], ["bounce"]])
def test_a_message_in_no_legal_state_is_found_and_kept(mail: Instance, kinds: list[str]) -> None:
    number = put(mail, *kinds)
    found = check(mail)
    assert len(found) == 1 and found[0].startswith(f"message {number} is in no legal state: ")
    before = state(mail.queue)
    assert run("qmail-setup", "--fix", mail.home, user=mail.runner, cwd=mail.scratch).code == 1
    assert state(mail.queue) == before


def test_a_message_with_the_wrong_number_is_found(mail: Instance) -> None:
    number = put(mail, "mess", number=4711)
    assert any(line.startswith(f"message {number}: its mess file has inode ") for line in check(mail))


def test_a_message_in_the_wrong_folder_is_found(mail: Instance) -> None:
    number = put(mail, "mess")
    wrong = f"mess/{(number + 1) % layout.SPLIT}/{number}"
    (mail.queue / f"mess/{number % layout.SPLIT}/{number}").rename(mail.queue / wrong)
    assert f"queue/{wrong}: belongs to no message" in check(mail)


def test_a_message_in_a_queue_of_another_split_is_found(mail: Instance) -> None:
    number = put(mail, "mess", "info", "remote")
    names = {
        f"queue/{kind}/25/{number}": f"{kind}/{number % layout.SPLIT}/{number}" for kind in ("mess", "info", "remote")
    }
    for wrong, name in names.items():
        (mail.home / wrong).parent.mkdir()
        (mail.queue / name).rename(mail.home / wrong)
    assert check(mail) == [f"{wrong}: belongs to no message" for wrong in names]


def test_what_is_no_part_of_a_queue_is_found_and_kept(mail: Instance) -> None:
    (mail.queue / "strange").touch()
    assert check(mail) == ["queue/strange: belongs to no message"]
    assert run("qmail-setup", "--fix", mail.home, user=mail.runner, cwd=mail.scratch).code == 1
    assert (mail.queue / "strange").exists()


def test_a_file_of_a_message_with_the_wrong_mode_is_found_and_mended(mail: Instance) -> None:
    number = put(mail, "mess", "info", "local")
    name = f"queue/local/{number % layout.SPLIT}/{number}"
    (mail.home / name).chmod(0o644)
    assert check(mail) == [f"{name}: mode 0644, should be 0600"]
    fix(mail)


# -- users -------------------------------------------------------------------------------------


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """groupadd and useradd that only write down what they were asked; without users that are there already."""
    for name in ("groupadd", "useradd"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/log\ntest ! -e {tmp_path}/broken\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("QMAILHOME", "/var/qmail")
    monkeypatch.setattr(users, "USERS", {b"alias-t": b"unknown addresses", b"qmails-t": b"qmail-send"})
    monkeypatch.setattr(users, "GROUPS", {b"alias-t": b"nofiles-t"})
    monkeypatch.setattr(users, "DEFAULT_GROUP", b"qmail-t")
    return tmp_path


def test_users_and_groups_that_are_missing_are_made(tools: Path) -> None:
    made = users.add_users()
    assert made == [b"made group nofiles-t", b"made group qmail-t", b"made user alias-t", b"made user qmails-t"]
    lines = (tools / "log").read_text().splitlines()
    assert lines[:2] == ["groupadd -r nofiles-t", "groupadd -r qmail-t"]
    assert [line.split()[-1] for line in lines[2:]] == ["alias-t", "qmails-t"]
    assert "-r -M -g nofiles-t " in lines[2] and "-s /usr/sbin/nologin" in lines[2]
    assert "-r -M -g qmail-t " in lines[3] and " -d /var/qmail " in lines[3]


def test_users_that_are_there_are_not_made_again(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "USERS", {b"root": b"the operator"})
    monkeypatch.setattr(users, "GROUPS", {b"root": b"root"})
    monkeypatch.setattr(users, "DEFAULT_GROUP", b"root")
    assert users.add_users() == []
    assert not (tools / "log").exists()


def test_a_user_that_cannot_be_made_is_said(tools: Path) -> None:
    (tools / "broken").touch()
    with pytest.raises(Temporary, match="groupadd"):
        users.add_users()


def test_only_root_makes_users(tmp_path: Path) -> None:
    result = run("qmail-setup", "--users", "/nonexistent", user=65534 if os.geteuid() == 0 else None, cwd="/")
    assert (result.code, result.err) == (111, b"qmail-setup: fatal: only root can make users\n")
