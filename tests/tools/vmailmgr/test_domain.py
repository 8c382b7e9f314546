"""Users of a virtual domain come, get mail and go."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from commands import Result, run, start
from crashes import crashes_of
from faults import faults_of
from forwarding import Forwarding

from tools.vmailmgr.domain import Domain, Refused
from tools.vmailmgr.password import matches
from tools.vmailmgr.vdeluser import main as vdeluser

UNKNOWN = b"vdeliver: Invalid or unknown virtual user 'sue'\n"


def manage(home: Path, *argv: str, input: bytes = b"secret\n") -> Result:
    return run(*argv, input=input, env={"HOME": str(home)})


def deliver(forwarding: Forwarding, ext: str) -> Result:
    return forwarding.forward("vdeliver", EXT=ext, HOME=str(forwarding.folder))


def received(home: Path, name: str) -> list[bytes]:
    return [file.read_bytes() for file in (home / "users" / name / "new").iterdir()]


def test_a_user_gets_mail_and_others_bounce(forwarding: Forwarding) -> None:
    home = forwarding.folder
    assert deliver(forwarding, "joe").code == 111  # there is no table yet
    assert manage(home, "vadduser", "Joe") == (0, b"vadduser: user 'Joe' successfully added\n", b"")
    assert deliver(forwarding, "JOE").code == 0
    assert received(home, "joe")[0].startswith(b"Return-Path: <s@far.example>\nDelivered-To: ")
    assert deliver(forwarding, "sue") == (100, UNKNOWN, b"")
    (home / "passwd.cdb").write_bytes(b"damaged")
    assert deliver(forwarding, "joe").code == 111


def test_an_alias_forwards_and_a_mailbox_waits_for_the_queue(forwarding: Forwarding) -> None:
    home = forwarding.folder
    manage(home, "vadduser", "--quiet", "-f", "a@b.example", "joe", "jim")
    assert deliver(forwarding, "jim").code == 0
    assert forwarding.envelope == [b"Fs@far.example", b"Tjoe@here.example"]
    (home / "capture").write_text("#!/bin/sh\nexit 71\n")
    assert deliver(forwarding, "joe").code == 111
    assert received(home, "joe") == []


def hook(home: Path, name: str, script: str) -> None:
    file = home / ".vmailmgr" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("#!/bin/sh\n" + script + "\n")
    file.chmod(0o755)


def test_hooks_see_the_message_and_the_user_before_and_after(forwarding: Forwarding) -> None:
    home = forwarding.folder
    manage(home, "vadduser", "--quiet", "-c", "5", "joe")
    seen = (
        'echo "$0" "$VUSER $MAILDIR $VUSER_MSGCOUNT $VUSER_HAS_MAILBOX $(cat | wc -c) $(ls $MAILDIR/new | wc -l)" >&2'
    )
    hook(home, "vdeliver-predeliver", seen)
    hook(home, "vdeliver-postdeliver", seen)
    done = deliver(forwarding, "joe")
    assert done.err.decode().replace(f"{home}/.vmailmgr/vdeliver-", "").splitlines() == [
        "predeliver joe ./users/joe 5 1 19 0",
        "postdeliver joe ./users/joe 5 1 19 1",
    ]
    assert received(home, "joe")[0].endswith(b"\n\nhello\n")


@pytest.mark.parametrize(
    ("before", "after", "code", "out", "delivered"),
    [
        ("exit 99", "exit 7", 99, b"", False),
        ("exit 100", "", 100, b"vdeliver: Execution of vdeliver-predeliver failed\n", False),
        ("kill -9 $$", "", 111, b"vdeliver: child crashed\n", False),
        ("", "exit 99", 99, b"", True),
        ("", "exit 7", 7, b"Execution of vdeliver-postdeliver failed\n", True),
    ],
)
def test_hooks_decide(forwarding: Forwarding, before: str, after: str, code: int, out: bytes, delivered: bool) -> None:
    home = forwarding.folder
    manage(home, "vadduser", "--quiet", "joe")
    hook(home, "vdeliver-predeliver", before)
    hook(home, "vdeliver-postdeliver", after)
    assert deliver(forwarding, "joe") == (code, out, b"")
    assert len(received(home, "joe")) == delivered


def test_a_hook_that_cannot_run_delays_the_message(forwarding: Forwarding) -> None:
    manage(forwarding.folder, "vadduser", "--quiet", "joe")
    hook(forwarding.folder, "vdeliver-predeliver", "")
    (forwarding.folder / ".vmailmgr/vdeliver-predeliver").write_text("#!/no/such/interpreter\n")
    assert deliver(forwarding, "joe").code == 111
    assert received(forwarding.folder, "joe") == []


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], b"Return-Path Delivered-To"),
        (["-Fd"], b"From Return-Path"),
        (["-r", "-d", "-D"], b"Delivered-To"),
        (["--no-predeliver", "--no-postdeliver", "-rd"], b""),
    ],
)
def test_lines_in_front_are_chosen(forwarding: Forwarding, options: list[str], lines: bytes) -> None:
    home = forwarding.folder
    manage(home, "vadduser", "--quiet", "-f", "a@b.example", "joe")
    if "--no-predeliver" in options:
        hook(home, "vdeliver-predeliver", "exit 100")
        hook(home, "vdeliver-postdeliver", "exit 100")
    assert forwarding.forward("vdeliver", *options, EXT="joe", HOME=str(home)).code == 0
    head = received(home, "joe")[0].split(b"Subject")[0]
    assert [line.split()[0].rstrip(b":") for line in head.splitlines()] == lines.split()
    assert (b"Delivered-To" in (home / "message").read_bytes()) == (b"Delivered-To" in lines)


def test_the_password_is_stored_as_a_hash(tmp_path: Path) -> None:
    manage(tmp_path, "vadduser", "joe")
    entry = Domain(bytes(tmp_path)).table
    entry.path = bytes(tmp_path / "passwd.cdb")
    found = entry.find(b"joe")
    assert found and matches(b"secret", found.password) and not matches(b"Secret", found.password)


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"user{number}" for number in range(12)]
    started = [start("vadduser", "-P", name, env={"HOME": str(tmp_path)}, stdout=subprocess.DEVNULL) for name in names]
    assert [process.wait(60) for process in started] == [0] * 12
    table = Domain(bytes(tmp_path)).table
    table.path = bytes(tmp_path / "passwd.cdb")
    assert sorted(entry.name.decode() for entry in table.entries()) == sorted(names)


def test_a_user_who_is_deleted_leaves_no_mail_whenever_that_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    domain = Domain(bytes(tmp_path))

    def add() -> None:
        try:
            domain.add(domain.new(b"joe", b"*", domain.directory(b"joe"), True))
        except Refused:
            pass

    def fresh() -> None:
        add()
        (tmp_path / "users/joe/new").mkdir(parents=True, exist_ok=True)
        (tmp_path / "users/joe/new/1.old").touch()

    for _ in crashes_of(lambda: domain.delete(b"joe", True), fresh):
        if domain.table.find(b"joe") is None:
            assert not (tmp_path / "users/joe").exists()
    assert domain.table.find(b"joe") is None


@pytest.mark.long
def test_a_user_who_is_deleted_leaves_no_mail_whatever_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    domain = Domain(bytes(tmp_path))

    def fresh() -> None:
        shutil.rmtree("users", ignore_errors=True)
        (tmp_path / "passwd.cdb").unlink(missing_ok=True)
        domain.add(domain.new(b"joe", b"*", domain.directory(b"joe"), True))

    for outcome in faults_of(vdeluser, [b"vdeluser", b"joe"], fresh=fresh, env={"HOME": str(tmp_path)}):
        assert outcome.code in (0, 1, 111) and b"bug" not in outcome.err, outcome
        assert domain.table.find(b"joe") is not None or not (tmp_path / "users/joe").exists(), outcome
    assert outcome.code == 0


def test_a_user_who_is_added_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    domain = Domain(bytes(tmp_path))

    def fresh() -> None:
        run("rm", "-rf", "users", "passwd.cdb", "passwd.cdb.tmp", cwd=tmp_path)

    def add() -> None:
        domain.add(domain.new(b"joe", b"*", domain.directory(b"joe"), True))

    seen = set()
    for _ in crashes_of(add, fresh):
        there = domain.table.find(b"joe") is not None
        assert not there or (tmp_path / "users/joe/new").is_dir()
        seen.add(there)
    assert seen == {False, True}


def test_deleting_nobody_is_said(tmp_path: Path) -> None:
    code, out, err = manage(tmp_path, "vdeluser", "joe")
    assert (code, out) == (1, b"")
    assert err.startswith(b"vdeluser: error deleting user 'joe':\n  User does not exist\n")
