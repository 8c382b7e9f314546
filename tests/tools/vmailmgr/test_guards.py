"""Who is kept out of a virtual domain, and whose mail does not get in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from accounts import given_login
from commands import run
from counting import Counting
from forwarding import Forwarding

from mta.local import getpw
from mta.local.users import User, records
from mta.pop3 import passwords
from tools.vmailmgr import checkvpw, settings
from tools.vmailmgr.login import Rejected, entry_with, owner_at_login, owner_of
from ucspi import cdb

SECRET = b"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"  # of Hello world!
PASSWORD = b"Hello world!"
BCRYPT = b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a virtual domain of each of three users; the folder in which we are is joe's."""
    for folder in "control", "users", "joe":
        (tmp_path / folder).mkdir()
    (tmp_path / "control/me").write_text("here.example\n")
    (tmp_path / "control/virtualdomains").write_text(
        "dom.example:joe\nroot.example:root\nalias.example:alias\n.sub.example:joe-sub\nnone.example:\n"
    )
    home = f"{tmp_path}/joe"
    assign = f"+joe-:joe:1234:1234:{home}:-::\n+root-:toor:0:0:{home}:-::\n+alias-:alias:1234:1234:{home}:-::\n.\n"
    cdb.write(bytes(tmp_path / "users/cdb"), bytes(tmp_path / "users/tmp"), records(assign.encode()))
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    monkeypatch.setattr(settings, "GLOBAL", bytes(tmp_path / "etc"))
    monkeypatch.chdir(home)
    return tmp_path


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    library = Counting()
    monkeypatch.setattr(passwords, "crypt_library", lambda: library)
    return library


def add(home: Path, *argv: str, hash: bytes = SECRET) -> None:
    """Have a user in joe's domain."""
    words = ("--quiet", "--password", hash.decode(), *argv)
    assert run("vadduser", *words, env={"HOME": str(home / "joe")}) == (0, b"", b"")


def change(home: Path, *argv: str) -> None:
    assert run("vchattr", "--quiet", *argv, env={"HOME": str(home / "joe")}) == (0, b"", b"")


def joe(home: Path, ext: bytes) -> User:
    return User(b"joe", os.geteuid(), os.getegid(), bytes(home / "joe"), b"-", ext)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("host", [b"dom.example", b"DOM.example"])
def test_a_domain_has_the_owner_that_mail_has(host: bytes) -> None:
    owner = owner_of(b"ann", host)
    assert (owner.name, owner.ext) == (b"joe", b"ann")
    assert owner_of(b"ann", b"x.sub.example").ext == b"sub-ann"


@pytest.mark.parametrize("host", [b"root.example", b"alias.example", b"none.example", b"unknown.example"])
def test_root_and_alias_and_nobody_own_no_domain(home: Path, host: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpw, "owner", lambda local, plain: None)
    with pytest.raises(Rejected, match="Invalid or unknown base user or domain"):
        owner_of(b"ann", host)
    # as they are found in the password file
    (home / "users/cdb").unlink()
    for name, uid in (b"toor", 0), (b"alias", 1234):
        found = User(name, uid, 1234, bytes(home / "joe"), b"-", b"ann")
        monkeypatch.setattr(getpw, "owner", lambda local, plain, found=found: found)
        with pytest.raises(Rejected):
            owner_of(b"ann", host)


@pytest.mark.usefixtures("home")
def test_nobody_at_this_machine_costs_what_a_user_costs(
    counting: Counting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shadow").write_bytes(b"ann:%s:1::::::\nbob:%s:1::::::\n" % (SECRET, BCRYPT))
    monkeypatch.setattr(passwords, "SHADOW", bytes(tmp_path / "shadow"))
    monkeypatch.setattr(getpw, "owner", lambda local, plain: None)
    for number in range(50):
        with pytest.raises(Rejected):
            owner_at_login(b"name%d" % number, b"here.example", PASSWORD)
    assert len(counting.settings) == 50 and set(counting.settings) == {SECRET, BCRYPT}
    assert owner_at_login(b"ann", b"dom.example", PASSWORD).name == b"joe"
    assert len(counting.settings) == 50  # it is tried on the table's, later


def test_names_that_a_domain_has_not_cost_what_its_users_cost(home: Path, counting: Counting) -> None:
    add(home, "ann")
    add(home, "bob", hash=BCRYPT)
    add(home, "sue", hash=b"!" + SECRET)
    others = [b"sue", *(b"name%d" % number for number in range(50))]
    for name in others * 2:
        with pytest.raises(Rejected):
            entry_with(joe(home, name), PASSWORD)
    assert counting.settings[:51] == counting.settings[51:]
    assert set(counting.settings) == {SECRET, BCRYPT}
    counting.settings.clear()
    assert entry_with(joe(home, b"ann"), PASSWORD).name == b"ann"
    with pytest.raises(Rejected):
        entry_with(joe(home, b"bob"), PASSWORD)
    assert counting.settings == [SECRET, BCRYPT]


def test_a_damaged_record_keeps_no_one_else_out(home: Path) -> None:
    table = bytes(home / "joe/passwd.cdb")
    good = b"\2\0" + SECRET + b"\0./users/ann\0\0\0" + b"-\0" * 6
    cdb.write(table, table + b".tmp", [(b"bob", b"\7nonsense"), (b"ann", good)])
    assert entry_with(joe(home, b"ann"), PASSWORD).name == b"ann"
    with pytest.raises(Rejected):
        entry_with(joe(home, b"eve"), PASSWORD)


@pytest.mark.parametrize("ago", [1, 1000])
def test_a_user_whose_end_has_come_does_not_log_in(home: Path, ago: int) -> None:
    add(home, "ann")
    assert entry_with(joe(home, b"ann"), PASSWORD)
    change(home, "-e", str(int(time.time()) + 1000), "ann")
    assert entry_with(joe(home, b"ann"), PASSWORD)
    change(home, "-e", str(int(time.time()) - ago), "ann")
    with pytest.raises(Rejected, match="Account has expired"):
        entry_with(joe(home, b"ann"), PASSWORD)
    with pytest.raises(Rejected, match="Invalid or incorrect password"):  # a guess learns nothing else
        entry_with(joe(home, b"ann"), b"guess")


def test_who_has_no_mailbox_does_not_log_in(home: Path) -> None:
    add(home, "-D", "-f", "a@b.example", "ann")
    with pytest.raises(Rejected, match="Invalid or unknown virtual user"):
        entry_with(joe(home, b"ann"), PASSWORD)


def test_a_mailbox_that_gets_no_more_mail_can_be_read(home: Path) -> None:
    add(home, "ann")
    change(home, "-E", "0", "ann")
    assert entry_with(joe(home, b"ann"), PASSWORD)


@pytest.mark.parametrize(
    ("separators", "name", "user", "host"),
    [
        ("", b"ann@dom.example", b"ann", b"dom.example"),
        ("", b"ann:dom.example", b"ann", b"dom.example"),
        ("", b"ann:x@dom.example", b"ann", b"x@dom.example"),
        ("", b"ann/dom.example", b"ann/dom.example", b"local.example"),
        ("/%", b"ann/dom.example", b"ann", b"dom.example"),
        ("/%", b"ann%dom.example", b"ann", b"dom.example"),
        ("/%", b"ann@dom.example", b"ann@dom.example", b"local.example"),
        ("", b"ann", b"ann", b"local.example"),
    ],
)
def test_a_separator_stands_between_user_and_domain(
    home: Path, monkeypatch: pytest.MonkeyPatch, separators: str, name: bytes, user: bytes, host: bytes
) -> None:
    (home / "etc").mkdir()
    (home / "etc/separators").write_text(separators + "\n")
    monkeypatch.setenv("TCPLOCALHOST", "local.example")
    assert checkvpw.told_apart(name, settings.Settings()) == (user, host)


@pytest.mark.usefixtures("home")
def test_without_a_domain_it_is_the_server_s_or_this_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for server in None, "":
        if server is None:
            monkeypatch.delenv("TCPLOCALHOST", raising=False)
        else:
            monkeypatch.setenv("TCPLOCALHOST", server)
        assert checkvpw.told_apart(b"ann", settings.Settings()) == (b"ann", os.fsencode(os.uname().nodename))
    for name, words in (b"@dom.example", "Empty user name"), (b"ann@", "Empty domain name"):
        with pytest.raises(Rejected, match=words):
            checkvpw.told_apart(name, settings.Settings())


def test_checkvpw_lets_nobody_in_as_root(home: Path) -> None:
    add(home, "ann")
    login = b"ann@root.example\0Hello world!\0\0"
    assert given_login(login, "checkvpw", "echo", "in", "Maildir", env={"QMAILHOME": str(home)}) == (1, b"", b"")


# -- mail ------------------------------------------------------------------------------------


def deliver(forwarding: Forwarding, ext: str) -> tuple[int, bytes]:
    done = forwarding.forward("vdeliver", EXT=ext, HOME=str(forwarding.folder))
    return done.code, done.out


def manage(forwarding: Forwarding, *argv: str) -> None:
    assert run(*argv, env={"HOME": str(forwarding.folder)}) == (0, b"", b"")


def mailbox(forwarding: Forwarding, name: str) -> int:
    """How many messages are in a mailbox."""
    return len(list((forwarding.folder / "users" / name / "new").iterdir()))


def test_mail_for_a_user_whose_end_has_come_bounces(forwarding: Forwarding) -> None:
    manage(forwarding, "vadduser", "--quiet", "-P", "-f", "a@b.example", "ann")
    manage(forwarding, "vchattr", "--quiet", "-e", str(int(time.time()) + 1000), "ann")
    assert deliver(forwarding, "ann") == (0, b"") and mailbox(forwarding, "ann") == 1
    (forwarding.folder / "envelope").unlink()
    manage(forwarding, "vchattr", "--quiet", "-e", str(int(time.time()) - 1), "ann")
    assert deliver(forwarding, "ann") == (100, b"vdeliver: Virtual user 'ann' has expired\n")
    assert mailbox(forwarding, "ann") == 1 and not forwarding.queued


def test_mail_for_names_that_nobody_has_goes_to_the_user_plus(forwarding: Forwarding) -> None:
    manage(forwarding, "vadduser", "--quiet", "-P", "ann")
    manage(forwarding, "vadduser", "--quiet", "-P", "+")
    assert deliver(forwarding, "nobody") == deliver(forwarding, "ann") == (0, b"")
    assert mailbox(forwarding, "+") == mailbox(forwarding, "ann") == 1
    (forwarding.folder / ".vmailmgr").mkdir()
    (forwarding.folder / ".vmailmgr/default-username").write_text("ann\n")
    assert deliver(forwarding, "nobody") == (0, b"")
    assert (mailbox(forwarding, "+"), mailbox(forwarding, "ann")) == (1, 2)


def test_a_disabled_mailbox_gets_no_mail_but_it_is_forwarded(forwarding: Forwarding) -> None:
    manage(forwarding, "vadduser", "--quiet", "-P", "-f", "a@b.example", "ann")
    manage(forwarding, "vchattr", "--quiet", "-E", "0", "ann")
    assert deliver(forwarding, "ann") == (0, b"")
    assert mailbox(forwarding, "ann") == 0
    assert forwarding.envelope == [b"Fs@far.example", b"Ta@b.example"]
