"""Users who have no account here log in by a file of their own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import given_login, hashed, login, on_descriptor_3
from commands import Result, run
from counting import Counting
from crashes import crashes_of
from faults import faults_of
from terminal import Terminal

from mta.pop3 import logins, passwords
from mta.pop3.checkpassword_cdb import main as checkpassword_cdb
from mta.pop3.loginpasswd import change
from mta.pop3.loginpasswd import main as loginpasswd
from mta.pop3.logins import compile, login_with, with_hash, write
from mta.pop3.setlogins import main as setlogins
from ucspi import cdb

VMAIL, GROUP = 61031, 61032
MD5 = b"$1$3azHgidD$SrJPt7B.9rekpmwJwtON31"  # of the word password
WHOSE = 'id -u; id -g; id -G; echo "$USER $HOME $SHELL"; pwd; test -e /proc/$$/fd/3 || echo no login'


class Site:
    """A folder with *logins*, and homes of ann and bob; where we are not root, the users are ourselves."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.table = folder, folder / "logins.cdb"
        rooted = os.geteuid() == 0
        self.uid, self.gid = (VMAIL, GROUP) if rooted else (os.getuid(), os.getgid())
        for name in "ann", "bob":
            (folder / name).mkdir()
            os.chown(folder / name, self.uid, self.gid)
        ids = f"{self.uid}:{self.gid}"
        self.text = (
            f"# who fetches mail\n\nAnn@dom.example:{hashed('secret')}:{ids}:{folder}/ann \n"
            f"bob@dom.example::{ids}:{folder}/bob\nlocked:!{hashed('secret')}:{ids}:{folder}\n"
            f"away:{hashed('secret')}:{ids}:/nonexistent\n"
        )
        assert self.make(self.text) == (0, b"", b"")

    def make(self, text: str | bytes) -> Result:
        text = text if isinstance(text, bytes) else text.encode()
        return run("setlogins", "logins.cdb", "logins.tmp", input=text, cwd=self.folder)

    def check(self, name: str, password: str, *words: str) -> Result:
        """What checkpassword-cdb makes of a login."""
        return given_login(login(name, password), "checkpassword-cdb", self.table, *words)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Site(Path(folder))


@pytest.mark.parametrize("name", ["ann@dom.example", "ANN@Dom.example"])
def test_the_user_with_the_password_runs_the_program(site: Site, name: str) -> None:
    code, out, err = site.check(name, "secret", "sh", "-c", WHOSE)
    assert (code, err) == (0, b"")
    uid, gid, groups, variables, folder, closed = out.decode().splitlines()
    assert (uid, gid) == (str(site.uid), str(site.gid))
    home = f"{site.folder}/ann"
    assert (variables, folder, closed) == (f"ann@dom.example {home} /bin/sh", home, "no login")
    if os.geteuid() == 0:
        assert groups == str(site.gid)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann@dom.example", "Secret"),
        ("ann@dom.example", ""),
        ("ann", "secret"),
        ("bob@dom.example", ""),
        ("bob@dom.example", "secret"),
        ("locked", "secret"),
        ("nobody", "secret"),
        ("", ""),
        ("root", "secret"),
    ],
)
def test_nobody_else_does(site: Site, name: str, password: str) -> None:
    assert site.check(name, password, "echo", "in") == (1, b"", b"")


def test_a_program_of_ours_runs_as_the_user_too(site: Site) -> None:
    code, out, err = site.check("ann@dom.example", "secret", "qmail-pop3d", "Nosuch")
    assert (code, out, err) == (0, b"-ERR this user has no $HOME/Maildir\r\n", b"")


def test_trouble_is_said_and_passes(site: Site, tmp_path: Path) -> None:
    def fatal(words: str) -> Result:
        return Result(111, b"", f"checkpassword-cdb: fatal: {words}\n".encode())

    missing = "unable to switch to /nonexistent: file does not exist"
    assert site.check("away", "secret", "echo", "in") == fatal(missing)
    table = tmp_path / "l.cdb"
    words = login("ann", "password"), "checkpassword-cdb", table, "echo", "in"
    assert given_login(*words) == fatal(f"unable to read {table}: file does not exist")
    table.write_bytes(b"")
    assert given_login(*words) == fatal(f"unable to read {table}: protocol error")
    for data, why in (
        (MD5 + b"\0000\0000\0/", "uid 0 is refused"),
        (MD5 + b"\0001\0000\0/", "gid 0 is refused"),
        (MD5, "a user has a name, a hash, a uid, a gid and a home, with colons between them"),
    ):
        cdb.write(bytes(table), bytes(tmp_path / "tmp"), [(b"ann", data)])
        assert given_login(*words) == fatal(f"{table}: the record of ann is damaged: {why}")


@pytest.mark.root
def test_who_may_not_become_the_user_says_so(site: Site, tmp_path: Path) -> None:
    os.chmod(site.table, 0o644)
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "checkpassword-cdb", site.table)
    code, out, err = given_login(login("ann@dom.example", "secret"), *as_nobody, "echo", "in")
    os.chmod(site.table, 0o600)
    line = b"checkpassword-cdb: fatal: unable to become uid 61031, gid 61032: permission denied\n"
    assert (code, out, err) == (111, b"", line)


def test_misuse_is_said(site: Site) -> None:
    usage = b"checkpassword-cdb: usage: checkpassword-cdb logins.cdb prog ...\n"
    assert run("checkpassword-cdb", site.table) == (2, b"", usage)
    assert given_login(b"ann\0secret", "checkpassword-cdb", site.table, "true") == (2, b"", b"")
    assert given_login(b"x" * 600, "checkpassword-cdb", site.table, "true") == (1, b"", b"")


def test_who_does_not_exist_or_has_no_password_costs_what_others_cost(site: Site, counting: Counting) -> None:
    table = os.fsencode(site.table)
    assert login_with(table, b"nobody", b"secret") is login_with(table, b"bob@dom.example", b"secret") is None
    assert login_with(table, b"locked", b"secret") is login_with(table, b"ann@dom.example", b"wrong") is None
    assert login_with(table, b"ann@dom.example", b"secret")
    hashes = {line.split(":")[1].encode() for line in site.text.splitlines() if ":$" in line}
    assert len(counting.settings) == 5 and set(counting.settings) <= hashes


def test_names_that_nobody_has_cost_what_users_cost_whatever_their_methods(counting: Counting, tmp_path: Path) -> None:
    table = bytes(tmp_path / "l.cdb")
    bcrypt = b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    text = [b"ann:%s:1:1:/" % bcrypt, b"bob:%s:1:1:/" % MD5, b"locked:!%s:1:1:/" % MD5, b"none::1:1:/"]
    write(table, table + b".tmp", compile(text))
    others = [b"locked", b"none", *(b"name%d" % number for number in range(100))]
    for name in others + others:
        assert login_with(table, name, b"password") is None  # which is bob's
    assert counting.settings[:102] == counting.settings[102:]
    assert set(counting.settings) == {bcrypt, MD5}
    assert 25 <= counting.settings[:102].count(MD5) <= 77
    assert login_with(table, b"bob", b"password") and login_with(table, b"ann", b"U*U")
    assert counting.settings[204:] == [MD5, bcrypt]


# -- the file ---------------------------------------------------------------------------------


def test_only_its_owner_reads_the_database_whatever_the_umask(site: Site) -> None:
    assert site.table.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"ann", b"a user has a name, a hash, a uid, a gid and a home, with colons between them"),
        (b"ann::1:1:/:more", b"a user has a name, a hash, a uid, a gid and a home, with colons between them"),
        (b"::1:1:/", b"a name is not empty, and no line has a NUL"),
        (b"ann:*\0:1:1:/", b"a name is not empty, and no line has a NUL"),
        (b"ann:secret:1:1:/", b"this is no hash of a password"),
        (b"ann::0:1:/", b"uid 0 is refused"),
        (b"ann::00:1:/", b"uid 0 is refused"),
        (b"ann::1:0:/", b"gid 0 is refused"),
        (b"ann::1\x1b[2J:1:/", b"this is no uid or gid: 1?[2J"),
        (b"ann::vmail:1:/", b"this is no uid or gid: vmail"),
        (b"ann::1::/", b"this is no uid or gid: "),
        (b"ann::1:-1:/", b"this is no uid or gid: -1"),
        (b"ann::4294967295:1:/", b"this is no uid or gid: 4294967295"),
        (b"ann::1:1:var/ann", b"a home begins with a slash"),
        (b"BOB::1:1:/", b"bob has line 2 already"),
    ],
)
def test_a_wrong_line_is_named_and_leaves_the_old_database(site: Site, line: bytes, why: bytes) -> None:
    before = site.table.read_bytes()
    done = site.make(b"# comment\nbob:*:1:1:/\n" + line + b"\nlast:*:1:1:/\n")
    assert done == (100, b"", b"setlogins: fatal: input: line 3: " + why + b"\n")
    assert site.table.read_bytes() == before
    assert not (site.folder / "logins.tmp").exists()


def test_usage_is_told() -> None:
    assert run("setlogins", "x") == (100, b"", b"setlogins: usage: setlogins logins.cdb logins.tmp\n")
    assert run("loginpasswd", "x") == (100, b"", b"loginpasswd: usage: loginpasswd logins name\n")


def test_a_crash_leaves_the_old_database_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = set()

    def made(name: bytes) -> None:
        write(b"l.cdb", b"l.tmp", compile([name + b":%s:1:1:/" % MD5]))

    for _ in crashes_of(lambda: made(b"new"), lambda: made(b"old")):
        seen.add(tuple(login_with(b"l.cdb", name, b"password") is not None for name in (b"old", b"new")))
    assert seen == {(True, False), (False, True)}


def test_with_any_fault_a_login_is_put_off(tmp_path: Path) -> None:
    ids = b"%d:%d" % (os.getuid() or VMAIL, os.getgid() or GROUP)
    write(bytes(tmp_path / "l.cdb"), bytes(tmp_path / "l.tmp"), compile([b"ann:%s:%s:/" % (MD5, ids)]))
    argv = [b"checkpassword-cdb", bytes(tmp_path / "l.cdb"), b"true"]
    for password, expected in ("password", 0), ("guess", 1):
        with on_descriptor_3(login("ann", password)) as put:
            *failed, last = faults_of(checkpassword_cdb, argv, fresh=put)
        assert (last.code, last.err) == (expected, b"") and len(failed) > 10
        assert {outcome.code for outcome in failed} <= {expected, 111}
        assert not any(b"bug" in outcome.err for outcome in failed)


# -- passwords --------------------------------------------------------------------------------


def test_a_password_is_set_and_nothing_else_changes(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.write_text(site.text)
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, VMAIL, GROUP)
    before = file.stat()
    assert run("loginpasswd", file, "BOB@dom.example", input=b"new one\n") == (0, b"", b"")
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    old, new = site.text.splitlines(), file.read_text().splitlines()
    assert [at for at, (was, now) in enumerate(zip(old, new, strict=True)) if was != now] == [3]
    hash = new[3].split(":")[1]
    assert old[3].replace("::", f":{hash}:") == new[3]
    assert passwords.matches(b"new one", hash.encode())
    table = bytes(tmp_path / "l.cdb")
    write(table, table + b".tmp", compile(file.read_bytes().splitlines()))
    assert login_with(table, b"bob@dom.example", b"new one")
    assert not login_with(table, b"bob@dom.example", b"new")


def test_a_file_without_the_name_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.write_text("#ann::1:1:/\nann\nannabel::1:1:/\n")
    none = b"loginpasswd: fatal: there is no line for ann\n"
    assert run("loginpasswd", file, "ann", input=b"x\n") == (100, b"", none)
    for given, why in (b"\n", b"is empty"), (b"", b"is empty"), (b"a\0b\n", b"contains a NUL"):
        line = b"loginpasswd: error: password %s.\n" % why
        assert run("loginpasswd", file, "annabel", input=given) == (100, b"", line)
    missing = f"loginpasswd: fatal: unable to read {file}x: file does not exist\n".encode()
    assert run("loginpasswd", f"{file}x", "ann", input=b"x\n") == (111, b"", missing)
    assert file.read_text() == "#ann::1:1:/\nann\nannabel::1:1:/\n"
    assert list(tmp_path.iterdir()) == [file]


def test_on_a_terminal_it_asks_twice_and_shows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    for again, code in (b"s3cret", 0), (b"other", 100), (b"\x04", 100):
        file.write_text("ann::1:1:/\n")
        terminal = Terminal("loginpasswd", file, "ann")
        terminal.shows("Enter the user's new password:")
        terminal.press(b"s3cret\n")
        terminal.shows("Please type it again for verification:")
        terminal.press(again if again == b"\x04" else again + b"\n")
        assert terminal.ends()[0] == code
        assert b"s3cret" not in terminal.written
        terminal.close()
        hash = file.read_bytes().split(b":")[1]
        assert passwords.matches(b"s3cret", hash) == (code == 0)


def test_several_at_once_lose_nothing(tmp_path: Path) -> None:
    file = bytes(tmp_path / "logins")
    names = [b"user%d" % number for number in range(8)]
    Path(os.fsdecode(file)).write_bytes(b"".join(name + b"::1:1:/\n" for name in names))
    children = []
    for name in names:
        child = os.fork()
        if not child:
            try:
                change(file, name, b"*" + name)
            finally:
                os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(names)
    assert Path(os.fsdecode(file)).read_bytes() == b"".join(b"%s:*%s:1:1:/\n" % (name, name) for name in names)


def test_a_crash_leaves_the_old_password_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    others = b"bob:*:1:1:/b\n"
    seen = set()

    def fresh() -> None:
        file.write_bytes(others + b"ann:*old:1:1:/\n")

    for _ in crashes_of(lambda: change(bytes(file), b"ann", b"*new"), fresh):
        seen.add(file.read_bytes())
    assert seen == {others + b"ann:*old:1:1:/\n", others + b"ann:*new:1:1:/\n"}


@pytest.mark.parametrize("command", [setlogins, loginpasswd])
def test_with_any_fault_the_old_file_stays_or_the_new_one_is_whole(
    command: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "hashed", lambda password: MD5)  # which is quick
    file, table = tmp_path / "logins", tmp_path / "l.cdb"
    if command is setlogins:
        argv, given = [b"setlogins", b"l.cdb", b"l.tmp"], b"ann:%s:1:1:/\n" % MD5
    else:
        argv, given = [b"loginpasswd", b"logins", b"ann"], b"password\n"

    write(bytes(table), bytes(table) + b".t", compile([b"ann:*:1:1:/"]))
    before = table.read_bytes()

    def fresh() -> None:
        file.write_bytes(b"ann:*:1:1:/\n")
        table.write_bytes(before)

    def works() -> bool:
        if command is loginpasswd:
            return passwords.matches(b"password", file.read_bytes().split(b":")[1])
        return login_with(bytes(table), b"ann", b"password") is not None

    for outcome in faults_of(command, argv, fresh=fresh, stdin=given, folder=str(tmp_path)):  # type: ignore[arg-type]
        assert outcome.code in (0, 111) and b"bug" not in outcome.err, outcome
        assert works() or outcome.code == 111, outcome
        assert outcome.err or outcome.code == 0, outcome


def test_the_hash_of_a_line_that_has_no_more_is_set_too() -> None:
    assert with_hash(b"ann:\nbob:*:1", b"bob", b"$x") == b"ann:\nbob:$x:1"
    assert with_hash(b"ann:", b"Ann", b"$x") == b"ann:$x"
    assert logins.number(b"4294967294") == 4294967294


def test_a_name_with_control_bytes_is_said_without_them(tmp_path: Path) -> None:
    twice = run("setlogins", "l.cdb", "l.tmp", input=b"a\x1bb:*:1:1:/\n" * 2, cwd=tmp_path)
    assert twice == (100, b"", b"setlogins: fatal: input: line 2: a?b has line 1 already\n")
    (tmp_path / "logins").write_bytes(b"")
    none = run("loginpasswd", tmp_path / "logins", "a\nb", input=b"x\n")
    assert none == (100, b"", b"loginpasswd: fatal: there is no line for a?b\n")
    cdb.write(bytes(tmp_path / "l.cdb"), bytes(tmp_path / "l.tmp"), [(b"a\nb", MD5)])
    code, _, err = given_login(login("a\nb", "password"), "checkpassword-cdb", tmp_path / "l.cdb", "true")
    assert code == 111 and b"the record of a?b is damaged" in err


def test_hashes_are_nobody_else_s_whatever_draft_was_there(tmp_path: Path) -> None:
    draft = tmp_path / "l.tmp"
    draft.write_bytes(b"left by a crash, or put there")
    draft.chmod(0o666)
    with draft.open("rb") as spy:
        done = run("setlogins", "l.cdb", "l.tmp", input=b"ann:%s:1:1:/\n" % MD5, cwd=tmp_path)
        assert done == (0, b"", b"")
        assert MD5 not in spy.read()
    about = (tmp_path / "l.cdb").stat()
    assert (about.st_mode & 0o777, about.st_uid) == (0o600, os.geteuid())
    assert os.listdir(tmp_path) == ["l.cdb"]


@pytest.mark.parametrize("target", ["real/logins", "../elsewhere/logins"])
def test_a_link_to_the_file_stays_one(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    (folder / target).parent.mkdir(parents=True) if target[0] != "." else (tmp_path / "elsewhere").mkdir()
    folder.mkdir(exist_ok=True)
    (folder / target).write_text("ann::1:1:/\n")
    (folder / "logins").symlink_to(target)
    assert run("loginpasswd", "logins", "ann", input=b"new one\n", cwd=folder) == (0, b"", b"")
    assert os.readlink(folder / "logins") == target
    assert passwords.matches(b"new one", (folder / target).read_bytes().split(b":")[1])
    assert sorted(os.listdir((folder / target).parent)) == ["logins", "logins.lock"]
    (folder / target).unlink()
    lost = b"loginpasswd: fatal: unable to read logins: file does not exist\n"
    assert run("loginpasswd", "logins", "ann", input=b"x\n", cwd=folder) == (111, b"", lost)


@pytest.mark.root
def test_who_is_the_user_already_leaves_other_groups_if_that_can_be(site: Site) -> None:
    table = site.folder / "readable.cdb"
    write(bytes(table), bytes(table) + b".tmp", compile([b"ann:%s:%d:%d:/" % (MD5, VMAIL, GROUP)]))
    os.chmod(table, 0o644)
    user = ("setpriv", f"--reuid={VMAIL}", f"--regid={GROUP}", f"--groups={GROUP},61033")
    check = ("checkpassword-cdb", table, "id", "-G")
    for more, groups in ((), b"61032 61033\n"), (("--inh-caps=+setgid", "--ambient-caps=+setgid"), b"61032\n"):
        assert given_login(login("ann", "password"), *user, *more, *check) == (0, groups, b"")
