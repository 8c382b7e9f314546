"""vrehash moves mailboxes wherever their folder is, and nothing changes while it is cut short."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Result, run

from tools.vmailmgr.entry import Entry
from tools.vmailmgr.table import Table


def manage(home: Path, *argv: str, input: bytes = b"") -> Result:
    return run(*argv, input=input, env={"HOME": str(home)})


def setting(home: Path, name: str, value: str) -> None:
    (home / ".vmailmgr").mkdir(exist_ok=True)
    (home / ".vmailmgr" / name).write_text(value + "\n")


def spread(home: Path) -> None:
    setting(home, "user-dir-bits", "8")
    setting(home, "user-dir-slices", "1")


def add(home: Path, *names: str) -> None:
    """Add users, each with a message."""
    for name in names:
        assert manage(home, "vadduser", "--quiet", "-P", name).code == 0
        (mailbox(home, name) / "new/1").write_text(name)


def mailbox(home: Path, name: str) -> Path:
    found = Table(bytes(home / "passwd.cdb")).find(name.encode())
    assert found
    return home / found.directory.decode()


@pytest.mark.parametrize("folder", ["mail/users", "./users", "mail//users/", "ABSOLUTE/users"])
def test_vrehash_moves_mailboxes_whose_folder_has_slashes_in_its_name(tmp_path: Path, folder: str) -> None:
    folder = folder.replace("ABSOLUTE", str(tmp_path))
    setting(tmp_path, "user-dir", folder)
    if folder.startswith("/"):
        assert manage(tmp_path, "vaddusers", "--quiet", input=b"joe secret\nsue secret\n").code == 0
        for name in ("joe", "sue"):
            (mailbox(tmp_path, name) / "new/1").write_text(name)
    else:
        add(tmp_path, "joe", "sue")
    users = mailbox(tmp_path, "joe").parent
    spread(tmp_path)
    assert manage(tmp_path, "vrehash", "--quiet") == (0, b"", b"")
    assert sorted(path.name for path in users.parent.iterdir() if "users" in path.name) == ["backup.users", "users"]
    for name in ("joe", "sue"):
        assert (mailbox(tmp_path, name) / "new/1").read_text() == name
        assert mailbox(tmp_path, name).parent.parent.samefile(users)
    assert not [path for path in tmp_path.rglob("new.*") if path.name != "new.users"]


@pytest.mark.parametrize("folder", [".", "..", "users/.", "/"])
def test_a_folder_that_cannot_get_another_name_is_refused(tmp_path: Path, folder: str) -> None:
    add(tmp_path, "joe")
    setting(tmp_path, "user-dir", folder)
    refused = f"vrehash: error: the user directory '{folder.rstrip('/')}/' cannot be moved.\n".encode()
    assert manage(tmp_path, "vrehash") == (1, b"", refused)
    assert (tmp_path / "users/joe/new/1").read_text() == "joe"


CHANGES = (
    ("vadduser", "-P", "jim"),
    ("vaddalias", "all", "joe"),
    ("vaddusers",),
    ("vchattr", "-c", "7", "joe"),
    ("vchforwards", "joe", "sue"),
    ("vdeluser", "joe"),
    ("vpasswd", "joe"),
    ("vpasswds",),
    ("vrename", "joe", "jim"),
    ("vsetup",),
    ("vupgrade",),
)


@pytest.mark.parametrize("argv", CHANGES, ids=lambda argv: argv[0])
@pytest.mark.parametrize("last_name_missing", [False, True])
def test_nothing_changes_the_table_while_vrehash_is_cut_short(
    tmp_path: Path, argv: tuple[str, ...], last_name_missing: bool
) -> None:
    setting(tmp_path, "user-dir", "mail/users")
    add(tmp_path, "joe", "sue")
    mail = tmp_path / "mail"
    (mail / "new.users").mkdir()
    (mail / "users/joe").rename(mail / "new.users/joe")
    if last_name_missing:
        (mail / "users/sue").rename(mail / "new.users/sue")
        (mail / "users").rename(mail / "backup.users")
    before = (tmp_path / "passwd.cdb").read_bytes()
    done = manage(tmp_path, *argv, input=b"jim secret\n")
    assert (done.code, done.out) == (111, b"")
    assert done.err.endswith(b": fatal: vrehash has been cut short, and left 'mail/new.users/': give it again\n")
    assert (tmp_path / "passwd.cdb").read_bytes() == before
    assert manage(tmp_path, "vrehash", "--quiet").code == 0
    assert [(mailbox(tmp_path, name) / "new/1").read_text() for name in ("joe", "sue")] == ["joe", "sue"]
    assert manage(tmp_path, *argv, input=b"jim secret\n").code == (1 if argv[0] == "vpasswds" else 0)


def test_a_user_deleted_afterwards_leaves_no_mail(tmp_path: Path) -> None:
    add(tmp_path, "joe")
    (tmp_path / "new.users").mkdir()
    (tmp_path / "users/joe").rename(tmp_path / "new.users/joe")
    assert manage(tmp_path, "vdeluser", "joe").code == 111
    assert manage(tmp_path, "vrehash", "--quiet").code == 0
    assert manage(tmp_path, "vdeluser", "joe").code == 0
    assert not list(tmp_path.rglob("joe"))


def test_a_vrehash_that_can_move_nothing_leaves_the_domain_as_it_was(tmp_path: Path) -> None:
    add(tmp_path, "joe")
    table = Table(bytes(tmp_path / "passwd.cdb"))
    table.put(Entry(b"joe", b"*", b".", [], has_mailbox=True))
    spread(tmp_path)
    done = manage(tmp_path, "vrehash")
    assert done.code == 111 and done.err.startswith(b"vrehash: fatal: unable to move the mailbox . of 'joe': ")
    assert not (tmp_path / "new.users").exists() and (tmp_path / "users/joe/new/1").exists()
    assert manage(tmp_path, "vchattr", "-c", "7", "joe").code == 0


def test_vrehash_makes_the_folder_of_mailboxes_that_is_missing(tmp_path: Path) -> None:
    assert manage(tmp_path, "vadduser", "-P", "-d", "box/joe", "joe").code == 0
    (tmp_path / "box/joe/new/1").write_text("joe")
    assert manage(tmp_path, "vrehash", "--quiet") == (0, b"", b"")
    assert (tmp_path / "users/joe/new/1").read_text() == "joe"
    (tmp_path / "backup.users").rmdir()
    run("rm", "-r", tmp_path / "users")
    missing = b"vrehash: the mailbox ./users/joe of 'joe' is missing\n"
    assert manage(tmp_path, "vrehash", "--quiet").code == 1
    (tmp_path / "backup.users").rmdir()
    assert manage(tmp_path, "vrehash").err == missing
