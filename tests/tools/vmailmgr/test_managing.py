"""The commands by which a user manages a virtual domain."""

from __future__ import annotations

import shutil
import time
from errno import EIO
from pathlib import Path

import pytest
from commands import Result, run
from crashes import crashes_of
from faults import faults_of

from tools.vmailmgr.domain import Domain
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.password import matches
from tools.vmailmgr.vrehash import main as vrehash
from tools.vmailmgr.vsetup import main as vsetup


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert manage(tmp_path, "vadduser", "--quiet", "joe", input=b"secret\n").code == 0
    return tmp_path


def manage(home: Path, *argv: str, input: bytes = b"") -> Result:
    return run(*argv, input=input, env={"HOME": str(home)})


def user(home: Path, name: bytes) -> Entry | None:
    table = Domain(bytes(home)).table
    table.path = bytes(home / "passwd.cdb")
    return table.find(name)


def listed(home: Path, *words: str) -> list[str]:
    return manage(home, "listvdomain", *words).out.decode().splitlines()


def test_vpasswd_changes_the_password_and_nothing_else(home: Path) -> None:
    assert manage(home, "vpasswd", "Joe", input=b"other\n") == (
        0,
        b"vpasswd: password for user 'joe' successfully changed.\n",
        b"",
    )
    found = user(home, b"joe")
    assert found and matches(b"other", found.password) and not matches(b"secret", found.password)
    assert found.has_mailbox
    nobody = b"vpasswd: error changing the password for user 'sue':\n  Invalid or unknown virtual user\n"
    assert manage(home, "vpasswd", "sue", input=b"other\n") == (1, b"", nobody)
    assert manage(home, "vpasswd", "joe", input=b"\n") == (1, b"", b"vpasswd: error: password is empty.\n")


def test_lists_of_users_and_passwords_go_on_behind_what_is_wrong(home: Path) -> None:
    done = manage(home, "vaddusers", input=b"sue  first jim jill\nalone\njoe again\n\nbob second\n")
    assert done.code == 1
    assert done.err.splitlines()[:2] == [b"vaddusers: invalid line, ignoring:", b"  alone"]
    assert done.err.endswith(b"vaddusers: 3 errors were encountered.\n")
    assert done.out == b"added user 'sue', alias 'jim', alias 'jill'\nadded user 'bob'\n"
    assert listed(home) == [
        "User Mailbox Aliases",
        "joe Yes",
        "sue Yes",
        "jim No sue",
        "jill No sue",
        "bob Yes",
    ]
    done = manage(home, "vpasswds", "--quiet", input=b"sue other and more\nnobody word\n")
    assert (done.code, done.out) == (1, b"")
    found = user(home, b"sue")
    assert found and matches(b"other", found.password)


def test_an_alias_and_its_destinations_can_be_changed(home: Path) -> None:
    assert manage(home, "vaddalias", "all", "joe", "far@away.example").code == 0
    assert listed(home, "all") == ["User Mailbox Aliases", "all No joe far@away.example"]
    assert manage(home, "vchforwards", "--quiet", "all", "joe").code == 0
    assert listed(home, "-a") == ["User Mailbox Aliases", "all No joe"]
    assert listed(home, "-u") == ["User Mailbox Aliases", "joe Yes"]
    done = manage(home, "vchforwards", "all", "nobody")
    assert done == (1, b"", b"vchforwards: error with forwarding address 'nobody':\n  User 'nobody' does not exist\n")
    assert manage(home, "vchforwards", "all").code == 0
    assert listed(home, "all")[1:] == ["all No"]


@pytest.mark.parametrize(
    ("option", "value", "attribute", "found"),
    [
        ("-c", "7", "msgcount", 7),
        ("--expiry", "-", "expiry", None),
        ("-E", "0", "enabled", False),
        ("-p", "Joe, the first", "personal", b"Joe, the first"),
        ("-q", "1000", "softquota", 1000),
        ("--hardquota", "2000", "hardquota", 2000),
        ("-z", "3000", "msgsize", 3000),
    ],
)
def test_vchattr_changes_one_attribute(home: Path, option: str, value: str, attribute: str, found: object) -> None:
    assert manage(home, "vchattr", "--quiet", option, value, "joe") == (0, b"", b"")
    entry = user(home, b"joe")
    assert entry and getattr(entry, attribute) == found and matches(b"secret", entry.password)


def test_what_is_no_attribute_changes_nothing(home: Path) -> None:
    assert manage(home, "vchattr", "7", "joe").code == 1
    wrong = b"vchattr: error changing the attribute for user 'joe':\n  Invalid number\n"
    assert manage(home, "vchattr", "-c", "many", "joe") == (1, b"", wrong)
    assert manage(home, "vchattr", "-c", "1", "nobody", "none").code == 2
    done = manage(home, "vchattr", "-c", "1", "nobody", "joe")
    assert done.code == 1 and b"attribute for user 'joe' successfully changed.\n" in done.out
    assert manage(home, "vchattr", "-E", "0", "joe").code == 0
    assert listed(home)[1:] == ["joe Yes(disabled)"]


def test_vchattr_changes_nothing_when_an_option_stands_behind_the_value(home: Path) -> None:
    late = b"vchattr: Options stand before the value: -Q\n"
    assert manage(home, "vchattr", "-q", "10", "joe", "-Q", "300") == (1, b"", late)
    entry = user(home, b"joe")
    assert entry and (entry.softquota, entry.hardquota) == (None, None)
    assert manage(home, "vchattr", "-q", "-Q", "300", "joe").code == 0
    entry = user(home, b"joe")
    assert entry and (entry.softquota, entry.hardquota) == (None, 300), "the last one counts"
    assert manage(home, "vadduser", "--quiet", "-P", "--", "-q").code == 0
    assert manage(home, "vchattr", "-q", "10", "-q").code == 0, "a user may be called so"


def test_vrename_keeps_all_but_the_name(home: Path) -> None:
    before = user(home, b"joe")
    assert manage(home, "vrename", "joe", "Jim") == (0, b"vrename: user 'joe' is now called 'jim'.\n", b"")
    after = user(home, b"jim")
    assert before and after and before.data() == after.data() and user(home, b"joe") is None
    assert manage(home, "vrename", "jim", "jim").code == 1
    assert manage(home, "vrename", "jim", "a b").code == 1
    assert manage(home, "vrename", "nobody", "sue").code == 1


def test_users_are_listed_once_there_is_a_table(home: Path) -> None:
    assert manage(home, "listvdomain", "-a", "-u").code == 1
    done = manage(home, "listvdomain", "joe", "nobody")
    assert done == (1, b"User Mailbox Aliases\njoe Yes\n", b"listvdomain: unknown user 'nobody'\n")
    (home / "passwd.cdb").unlink()
    assert manage(home, "listvdomain") == (1, b"User Mailbox Aliases\n", b"listvdomain: Can't open password table\n")


def test_vsetup_makes_what_a_domain_needs_and_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / ".qmail-default").write_text("./Mailbox\n")
    done = manage(tmp_path, "vsetup")
    assert done.code == 0 and b"renaming to '.qmail-default~'" in done.err
    assert (tmp_path / ".qmail-default").read_text() == "|vdeliver\n"
    assert (tmp_path / ".qmail-default~").read_text() == "./Mailbox\n"
    assert listed(tmp_path)[1:] == [f"{name} Yes postmaster@" for name in ("mailer-daemon", "postmaster", "root")]
    assert manage(tmp_path, "vsetup", "--quiet") == (0, b"", b""), "the second time there is nothing to do"
    assert (tmp_path / ".qmail-default~").read_text() == "./Mailbox\n"


@pytest.mark.long
def test_a_vsetup_that_is_killed_never_leaves_mail_without_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))

    def fresh() -> None:
        run("rm", "-rf", home)
        home.mkdir()
        (home / ".qmail-default").write_text("./Mailbox\n")

    for _ in crashes_of(lambda: vsetup([b"vsetup", b"--quiet"]), fresh):
        says = (home / ".qmail-default").read_text()
        assert says in ("./Mailbox\n", "|vdeliver\n")
        if says == "|vdeliver\n":
            assert user(home, b"postmaster") is not None
            assert (home / ".qmail-default~").read_text() == "./Mailbox\n"
        assert manage(home, "vsetup", "--quiet").code == 0
        assert (home / ".qmail-default").read_text() == "|vdeliver\n"


def test_vsetup_runs_hooks_before_and_after_and_ends_with_one_that_fails(tmp_path: Path) -> None:
    hook(tmp_path, "vsetup-pre", "ls -A >seen")
    hook(tmp_path, "vsetup-post", "ls -A >>seen; exit 3")
    done = manage(tmp_path, "vsetup")
    assert done.code == 1 and done.err == b"vsetup: Execution of 'vsetup-post' failed!\n"
    seen = (tmp_path / "seen").read_text().split()
    assert seen[:2] == [".vmailmgr", "seen"] and ".qmail-default" in seen[2:]
    hook(tmp_path, "vsetup-pre", "exit 1")
    assert manage(tmp_path, "vsetup") == (1, b"", b"vsetup: Execution of 'vsetup-pre' failed!\n")


def hook(home: Path, name: str, script: str) -> None:
    file = home / ".vmailmgr" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("#!/bin/sh\n" + script + "\n")
    file.chmod(0o755)


def test_a_user_may_be_added_with_limits(home: Path) -> None:
    (home / ".vmailmgr").mkdir()
    (home / ".vmailmgr/default-msgcount").write_text("7\n")
    (home / ".vmailmgr/default-softquota").write_text("8\n")
    before = int(time.time())
    limits = ("-e", "1000000000", "-c0", "--softquota=-1", "-Q", "9", "--msgsize", "10", "-p", "Sue, the first")
    assert manage(home, "vadduser", "--quiet", "-d", "boxes/s", "--password", "$0$word", *limits, "Sue").code == 0
    sue = user(home, b"sue")
    assert sue and (sue.msgcount, sue.softquota, sue.hardquota, sue.msgsize) == (7, None, 9, 10)
    assert sue.expiry and 0 <= sue.expiry - before - 1_000_000_000 < 100
    assert sue.directory == b"./boxes/s" and (home / "boxes/s/new").is_dir() and matches(b"word", sue.password)
    assert b"invalid integer: x\n" in manage(home, "vadduser", "-c", "x", "jim").err
    assert user(home, b"jim") is None


def test_dumpvuser_tells_all(home: Path) -> None:
    assert manage(home, "vadduser", "-P", "-f", "a@b.example", "-f", "joe", "-Q", "9", "sue").code == 0
    told = dict(line.split(b": ", 1) for line in manage(home, "dumpvuser", "sue").out.splitlines())
    assert int(told.pop(b"Creation-Time")) > 0
    assert told == {
        b"Name": b"sue",
        b"Encrypted-Password": b"*",
        b"Directory": b"./users/sue",
        b"Forward": b"joe",
        b"Hard-Quota": b"9",
        b"Soft-Quota": b"N/A",
        b"Message-Size-Limit": b"N/A",
        b"Message-Count-Limit": b"N/A",
        b"Expiry-Time": b"N/A",
        b"Has-Mailbox": b"true",
        b"Mailbox-Enabled": b"true",
    }
    assert manage(home, "dumpvuser", "nobody") == (1, b"", b"dumpvuser: No such user\n")


def test_vupgrade_makes_a_table_of_what_was_there_before_tables(tmp_path: Path) -> None:
    assert manage(tmp_path, "vupgrade") == (1, b"", b"vupgrade: Can't open password table.\n")
    (tmp_path / "passwd").write_text("Joe:$0$word:./users/joe\nall:*:&a@b.example,joe\n")
    for _ in range(2):  # the second time it reads the table
        assert manage(tmp_path, "vupgrade") == (0, b"", b"")
        assert listed(tmp_path)[1:] == ["joe Yes", "all No a@b.example joe"]
    everybody = user(tmp_path, b"all")
    assert everybody and everybody.directory == b"users/all" and (tmp_path / "users/all").is_dir()


class Spreading:
    """A domain whose two mailboxes, with a message in each, are to be spread over folders.

    Args:
        home: where it is.
    """

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.monkeypatch = home, monkeypatch
        monkeypatch.setenv("HOME", str(home))

    def fresh(self) -> None:
        """As it was."""
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / ".vmailmgr").mkdir(parents=True)
        with self.monkeypatch.context() as there:
            there.chdir(self.home)
            domain = Domain(bytes(self.home))
            for name in (b"joe", b"sue"):
                domain.add(domain.new(name, b"*", b"./users/" + name, True))
                (self.home / "users" / name.decode() / "new/1").write_bytes(name)
        (self.home / ".vmailmgr/user-dir-bits").write_text("8\n")
        (self.home / ".vmailmgr/user-dir-slices").write_text("1\n")

    def check(self) -> None:
        """Given again, vrehash has moved all."""
        done = manage(self.home, "vrehash", "--quiet")
        assert done.code == 0 or not (self.home / "new.users").exists(), done
        for name in (b"joe", b"sue"):
            found = user(self.home, name)
            assert found and found.directory.count(b"/") == 3
            assert (self.home / found.directory.decode() / "new/1").read_bytes() == name


@pytest.mark.long
def test_vrehash_moves_every_mailbox_whenever_it_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spreading = Spreading(tmp_path / "home", monkeypatch)
    for _ in crashes_of(lambda: vrehash([b"vrehash", b"--quiet"]), spreading.fresh):
        spreading.check()


@pytest.mark.long
def test_vrehash_moves_every_mailbox_whatever_call_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spreading = Spreading(tmp_path / "home", monkeypatch)
    env = {"HOME": str(spreading.home)}
    for outcome in faults_of(vrehash, [b"vrehash", b"--quiet"], fresh=spreading.fresh, env=env):
        if outcome.error == EIO or not outcome.call:
            assert outcome.code in (0, 1, 111) and b"bug" not in outcome.err, outcome
            spreading.check()
    assert outcome.code == 0


def test_vrehash_keeps_the_last_backup_and_names_what_is_missing(home: Path) -> None:
    (home / "backup.users").mkdir()
    refused = b"vrehash: error: backup directory 'backup.users/' already exists.\n"
    assert manage(home, "vrehash") == (1, b"", refused)
    (home / "backup.users").rmdir()
    run("rm", "-r", home / "users/joe")
    done = manage(home, "vrehash")
    assert (done.code, done.err) == (1, b"vrehash: the mailbox ./users/joe of 'joe' is missing\n")
