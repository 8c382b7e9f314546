"""What a domain's owner writes into the table is not taken for what it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Result, run
from instance import Instance

from tools.vmailmgr.entry import Entry
from tools.vmailmgr.table import Table

FORGED = b"./users/ann\nUID=0\nGID: 0"


def manage(home: Path, *argv: str | bytes, input: bytes = b"") -> Result:
    return run(*argv, input=input, env={"HOME": str(home)})


def table(home: Path) -> Table:
    return Table(bytes(home / "passwd.cdb"))


def test_no_program_is_told_that_a_user_is_root() -> None:
    with Instance(False, controls={"virtualdomains": "dom.example:joe"}) as mail:

        def ask() -> Result:
            told = b"dom.example\0ann\0secret"
            return run("vauthenticate", input=told, env=mail.env, cwd=mail.scratch)

        def put(entry: Entry) -> None:
            table(mail.joe.home).put(entry)
            os.chown(mail.joe.home / "passwd.cdb", mail.joe.uid, -1)

        ann = Entry(b"ann", b"$0$secret", b"./users/ann", [], has_mailbox=True)
        put(ann)
        assert ask().code == 0
        for forged in (FORGED, b"./users/ann\rUID=0"):
            ann.directory = forged
            put(ann)
            assert ask() == (111, b"", b"vauthenticate: fatal: MAILDIR in the table is not a single line\n")


@pytest.mark.parametrize("attribute", ["password", "directory", "forwards"])
def test_dumpvuser_prints_no_field_that_is_none(tmp_path: Path, attribute: str) -> None:
    ann = Entry(b"ann", b"*", b"./users/ann", [], has_mailbox=True)
    setattr(ann, attribute, [FORGED] if attribute == "forwards" else FORGED)
    table(tmp_path).put(ann)
    done = manage(tmp_path, "dumpvuser", "ann")
    assert (done.code, done.out) == (111, b"") and done.err.endswith(b" in the table is not a single line\n")


def test_listvdomain_prints_no_user_who_is_none(tmp_path: Path) -> None:
    table(tmp_path).put(Entry(b"all", b"*", b"", [b"a@b.example\nroot Yes"], has_mailbox=False))
    done = manage(tmp_path, "listvdomain")
    assert done == (111, b"", b"listvdomain: fatal: a user in the table is not a single line\n")


@pytest.mark.parametrize(
    "argv",
    [
        (b"vadduser", b"-P", b"-d", FORGED, b"sue"),
        (b"vadduser", b"-P", b"-d", b"users/\x1b[2J", b"sue"),
        (b"vadduser", b"-P", b"-f", b"a@b.example\nUID=0", b"sue"),
        (b"vadduser", b"-P", b"-p", b"Sue\rUID=0", b"sue"),
        (b"vadduser", b"-P", b"su\x7fe"),
        (b"vadduser", b"-P", b"-e", b"99999999999999999999", b"sue"),
        (b"vaddalias", b"sue", b"a@b.example\nUID=0"),
        (b"vchforwards", b"joe", b"a@b.example\nUID=0"),
        (b"vchattr", b"-p", b"Joe\nUID=0", b"joe"),
        (b"vchattr", b"-q", b"100000000000000000000", b"joe"),
        (b"vrename", b"joe", b"jo\x01e"),
    ],
)
def test_what_the_table_should_not_have_is_refused(tmp_path: Path, argv: tuple[bytes, ...]) -> None:
    assert manage(tmp_path, "vadduser", "-P", "joe").code == 0
    before = (tmp_path / "passwd.cdb").read_bytes()
    done = manage(tmp_path, *argv)
    assert done.code == 1 and done.err, done
    assert (tmp_path / "passwd.cdb").read_bytes() == before
    assert [file.name for file in (tmp_path / "users").iterdir()] == ["joe"]


def test_largest_numbers_can_be_read_again(tmp_path: Path) -> None:
    limits = ("-Q99999999999999999999", "-e90000000000000000000")
    assert manage(tmp_path, "vadduser", "-P", *limits, "joe").code == 0
    assert b"Hard-Quota: 99999999999999999999\n" in manage(tmp_path, "dumpvuser", "joe").out


def test_a_lifetime_too_long_for_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".vmailmgr").mkdir()
    (tmp_path / ".vmailmgr/default-expiry").write_text("99999999999999999999\n")
    refused = b"vadduser: error adding the virtual user:\n  Attribute 'expiry' is too large\n"
    assert manage(tmp_path, "vadduser", "-P", "joe") == (1, b"", refused)
    assert not (tmp_path / "passwd.cdb").exists() and not (tmp_path / "users").exists()


def test_vupgrade_takes_no_line_that_makes_a_damaged_record(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_bytes(b"joe:*:./users/joe\0\n")
    assert manage(tmp_path, "vupgrade").code == 111
    assert not (tmp_path / "passwd.cdb").exists()


def test_a_user_to_whom_another_program_gave_a_tab_can_be_changed(tmp_path: Path) -> None:
    joe = Entry(b"joe", b"*", b"./users/joe", [], has_mailbox=True)
    joe.personal = b"Joe\tthe first"
    table(tmp_path).put(joe)
    assert manage(tmp_path, "vchattr", "-c", "7", "joe").code == 0
    found = table(tmp_path).find(b"joe")
    assert found and found.msgcount == 7 and found.personal == b"Joe\tthe first"
