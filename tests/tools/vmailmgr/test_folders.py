"""Every user of a virtual domain has a folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Result, run
from crashes import crashes_of
from faults import faults_of

from tools.vmailmgr.domain import Domain
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.vadduser import main as vadduser
from tools.vmailmgr.vdeluser import main as vdeluser


def manage(home: Path, *argv: str, input: bytes = b"secret\n") -> Result:
    return run(*argv, input=input, env={"HOME": str(home)})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A domain with the user anna, who has mail in a folder by another name."""
    home = tmp_path / "domain"
    home.mkdir()
    assert manage(home, "vadduser", "ann").code == 0
    assert manage(home, "vrename", "ann", "anna").code == 0
    (home / "users/ann/new/1").write_text("mail\n")
    return home


def mail(home: Path, folder: str = "users/ann") -> list[str]:
    return [file.name for file in (home / folder / "new").iterdir()]


def names(home: Path) -> list[str]:
    return [line.split()[0] for line in manage(home, "listvdomain").out.decode().splitlines()[1:]]


def put(home: Path, monkeypatch: pytest.MonkeyPatch, name: bytes, directory: bytes) -> None:
    """Have a user in the table as another program may have put it there."""
    with monkeypatch.context() as there:
        there.chdir(home)
        Domain(bytes(home)).table.put(Entry(name, b"*", directory, [], True))


def test_a_folder_that_is_somebody_elses_stays_that(home: Path) -> None:
    refused = b"vadduser: error adding the virtual user:\n  Folder './users/ann' is in use by user 'anna'\n"
    assert manage(home, "vadduser", "ann") == (1, b"", refused)
    assert manage(home, "vaddusers", input=b"ann word\n").code == 1
    assert names(home) == ["anna"] and mail(home) == ["1"]
    assert manage(home, "vadduser", "-d", "users/second", "ann").code == 0
    assert manage(home, "vdeluser", "ann").code == 0
    assert mail(home) == ["1"] and not (home / "users/second").exists()


def test_an_alias_by_the_old_name_has_no_part_in_the_mailbox(home: Path) -> None:
    assert manage(home, "vaddalias", "ann", "anna").code == 0
    assert b"\nDirectory: \n" in manage(home, "dumpvuser", "ann").out
    assert manage(home, "vdeluser", "ann").err == b""
    assert names(home) == ["anna"] and mail(home) == ["1"]
    assert manage(home, "vadduser", "-P", "bob", "robert").code == 0
    assert list((home / "users/robert").iterdir()) == [], "any other has an empty folder, which goes with it"
    assert manage(home, "vdeluser", "robert").code == 0
    assert not (home / "users/robert").exists()


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        (".", b"more in it than one mailbox"),
        ("users", b"more in it than one mailbox"),
        ("users/../users/.", b"more in it than one mailbox"),
        (".vmailmgr", b"more in it than one mailbox"),
        ("..", b"more in it than one mailbox"),
        ("../outside", b"outside the domain's home"),
        ("link/joe", b"outside the domain's home"),
        ("users//ann", b"in use by user 'anna'"),
        ("users/../users/ann/.", b"in use by user 'anna'"),
        ("boxes/ann", b"in use by user 'anna'"),
        ("short", b"in use by user 'anna'"),
        ("users/ann/.Sent", b"in use by user 'anna'"),
        ("users/ann/../joe", b"depends on another: it has .. in it"),
        ("users/.joe.deleted", b"the name of a deleted mailbox"),
        ("full", b"there already, and not empty"),
    ],
)
def test_a_folder_must_be_free_and_inside_however_it_is_spelt(home: Path, folder: str, why: bytes) -> None:
    (home / "boxes").symlink_to("users")
    (home / "short").symlink_to("users/ann")
    (home / "link").symlink_to("..")
    (home / "full/new").mkdir(parents=True)
    (home / "full/new/1").touch()
    before = sorted(home.parent.rglob("*"))
    for options in (["-P"], ["-P", "-D"]):
        done = manage(home, "vadduser", *options, "-d", folder, "joe")
        assert done.code == 1 and why in done.err, done
        assert done.err.startswith(b"vadduser: error adding the virtual user:\n  Folder './%s' " % folder.encode())
    assert sorted(home.parent.rglob("*")) == before and names(home) == ["anna"]


def test_folders_may_be_on_another_disk(home: Path) -> None:
    (home / "users").rename(home.parent / "disk")
    (home / "users").symlink_to(home.parent / "disk")
    assert b"in use by user 'anna'" in manage(home, "vadduser", "-P", "ann").err
    assert manage(home, "vadduser", "-P", "joe").code == 0 and (home.parent / "disk/joe/new").is_dir()
    assert manage(home, "vdeluser", "joe").code == 0 and not (home.parent / "disk/joe").exists()


def test_nobody_finds_the_mail_of_a_former_user(home: Path) -> None:
    (home / "passwd.cdb").unlink()
    refused = manage(home, "vadduser", "ann")
    assert refused.code == 1 and b"Folder './users/ann' is there already, and not empty\n" in refused.err
    (home / "users/ann/new/1").unlink()
    (home / "users/ann/cur").rmdir()
    assert manage(home, "vadduser", "ann").code == 0, "what a killed vadduser leaves is no mailbox of anybody's"
    assert (home / "users/ann/cur").is_dir()


def test_a_user_whose_addition_was_killed_can_be_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    domain = Domain(bytes(tmp_path))

    def add() -> None:
        if domain.table.find(b"joe") is None:
            domain.add(domain.new(b"joe", b"*", domain.directory(b"joe"), True))

    def fresh() -> None:
        run("rm", "-rf", "users", "passwd.cdb", "passwd.cdb.tmp", cwd=tmp_path)

    for _ in crashes_of(add, fresh):
        add()
        assert domain.table.find(b"joe") is not None and (tmp_path / "users/joe/cur").is_dir()


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("./users/ann", "it is in use by user 'anna'"),
        ("users/../users/ann/", "it is in use by user 'anna'"),
        ("./short", "it is in use by user 'anna'"),
        ("./users/ann/.Sent", "it is in use by user 'anna'"),
        ("./users", "it has more in it than one mailbox"),
        (".", "it has more in it than one mailbox"),
        ("../outside", "it is outside the domain's home"),
    ],
)
def test_what_others_need_outlives_a_user(home: Path, monkeypatch: pytest.MonkeyPatch, folder: str, why: str) -> None:
    (home / "short").symlink_to("users/ann")
    (home / "users/ann/.Sent").mkdir()
    (home.parent / "outside").mkdir()
    put(home, monkeypatch, b"joe", folder.encode())
    before = sorted(home.parent.rglob("*"))
    done = manage(home, "vdeluser", "joe")
    assert done == (
        0,
        b"vdeluser: user 'joe' successfully deleted.\n",
        f"vdeluser: warning: folder '{folder}' stays: {why}\n".encode(),
    )
    assert sorted(home.parent.rglob("*")) == before and names(home) == ["anna"]


def test_a_mailbox_whose_folder_another_has_too_stays_until_the_last_of_them_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, monkeypatch, b"joe", b"users/ann")
    put(home, monkeypatch, b"sue", b"users/.ann.deleted")
    assert manage(home, "vdeluser", "--quiet", "anna") == (0, b"", b"")
    assert mail(home) == ["1"]
    kept = b"vdeluser: warning: folder 'users/ann' stays: it is in use by user 'sue'\n"
    assert manage(home, "vdeluser", "joe").err == kept, "while it goes, it would be called as that of another"
    put(home, monkeypatch, b"joe", b"users/ann")
    assert manage(home, "vdeluser", "sue", "joe").code == 0
    assert not (home / "users/ann").exists()


def test_vupgrade_gives_nobody_a_folder_that_another_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, monkeypatch, b"ann", b"")
    put(home, monkeypatch, b"jim", b"")
    assert manage(home, "vupgrade").code == 0
    assert b"\nDirectory: \n" in manage(home, "dumpvuser", "ann").out
    assert b"\nDirectory: users/jim\n" in manage(home, "dumpvuser", "jim").out
    assert mail(home) == ["1"]


@pytest.mark.long
def test_nobody_loses_or_finds_mail_whatever_call_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "short").symlink_to("users/ann")
    table = (home / "passwd.cdb").read_bytes()

    def fresh() -> None:
        (home / "passwd.cdb").write_bytes(table)

    env = {"HOME": str(home)}
    for outcome in faults_of(vadduser, [b"vadduser", b"-P", b"-d", b"short", b"joe"], fresh=fresh, env=env):
        assert outcome.code in (1, 111) and b"bug" not in outcome.err, outcome
        assert (home / "passwd.cdb").read_bytes() == table, outcome
    assert outcome.code == 1

    def shared() -> None:
        fresh()
        put(home, monkeypatch, b"joe", b"short")

    for outcome in faults_of(vdeluser, [b"vdeluser", b"joe"], fresh=shared, env=env):
        assert outcome.code in (0, 1, 111) and b"bug" not in outcome.err, outcome
        assert mail(home) == ["1"], outcome
    assert outcome.code == 0


@pytest.mark.parametrize(
    "folder", ["passwd.cdb.tmp", "passwd.cdb.lock", "new.users", "new.users/x", "backup.users", ".vmailmgr/user-dir/a"]
)
def test_what_the_domain_itself_needs_is_nobodys_mailbox(home: Path, folder: str) -> None:
    done = run("vadduser", "-P", "-d", folder, "x", env={"HOME": str(home)})
    assert (done.code == 1 and not (home / folder).exists()) or folder == "passwd.cdb.lock"
    assert run("vadduser", "-P", "y", env={"HOME": str(home)}).code == 0


def test_a_folder_of_mailboxes_may_be_spelt_with_dots_and_slashes(home: Path) -> None:
    for spelt in "./users", "mail/users":
        (home / ".vmailmgr").mkdir(exist_ok=True)
        (home / ".vmailmgr" / "user-dir").write_text(spelt + "\n")
        assert run("vsetup", env={"HOME": str(home)}).code == 0
        full = home / spelt / ("joe" + str(len(spelt)))
        full.mkdir()
        (full / "mail").touch()
        done = run("vadduser", "-P", "ann" + str(len(spelt)), full.name, env={"HOME": str(home)})
        assert (done.code, done.err) == (0, b"")
