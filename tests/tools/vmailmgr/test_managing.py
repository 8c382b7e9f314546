"""The commands by which a user manages a virtual domain."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Result, run
from crashes import crashes_of

from tools.vmailmgr.domain import Domain
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.password import matches
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
        b"vpasswd: password for user 'Joe' successfully changed.\n",
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
    assert b"vaddusers: 1 errors were encountered.\n" in done.err
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
    assert done == (1, b"", b"vchforwards: could not change user 'all':\n  User 'nobody' does not exist\n")
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
    assert manage(home, "vchattr", "-c", "many", "joe") == (1, b"", b"vchattr: error: not a number: many\n")
    assert manage(home, "vchattr", "-E", "2", "joe") == (1, b"", b"vchattr: error: enabled needs 0 or 1 and not 2\n")
    done = manage(home, "vchattr", "-c", "1", "nobody", "joe")
    assert done.code == 1 and b"attribute for user 'joe' successfully changed.\n" in done.out
    assert manage(home, "vchattr", "-E", "0", "joe").code == 0
    assert listed(home)[1:] == ["joe Yes(disabled)"]


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
    assert manage(home, "listvdomain").code == 111


def test_vsetup_makes_what_a_domain_needs_and_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / ".qmail-default").write_text("./Mailbox\n")
    done = manage(tmp_path, "vsetup")
    assert done.code == 0 and b"keeping it as '.qmail-default~'" in done.err
    assert (tmp_path / ".qmail-default").read_text() == "|vdeliver\n"
    assert (tmp_path / ".qmail-default~").read_text() == "./Mailbox\n"
    assert listed(tmp_path)[1:] == [f"{name} No postmaster@" for name in ("mailer-daemon", "postmaster", "root")]
    assert manage(tmp_path, "vsetup") == (0, b"", b""), "the second time there is nothing to do"
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
