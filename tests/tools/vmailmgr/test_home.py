"""Root manages the virtual domain of somebody else: all that is made there is theirs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Accounts
from commands import Result, run

pytestmark = pytest.mark.root

OWNER, OTHER = 61002, 61003  # user and group numbers


@pytest.fixture
def around() -> Iterator[Path]:
    """Root's folder, into which all may go, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="vmailmgr-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def home(around: Path) -> Path:
    """A home of somebody whom the password file has not."""
    home = around / "home"
    home.mkdir()
    os.chown(home, OWNER, OWNER)
    return home


def manage(home: Path, *argv: str | Path, input: bytes = b"secret\n") -> Result:
    return run(*argv, input=input, env={"HOME": str(home)})


def owners(home: Path) -> set[tuple[int, int]]:
    found = [file.lstat() for file in home.rglob("*")]
    assert found
    return {(each.st_uid, each.st_gid) for each in found}


@pytest.mark.parametrize(
    "argv",
    [("vadduser", "ann"), ("vaddusers",), ("vaddalias", "all", "a@b.example"), ("vsetup",)],
)
def test_what_root_adds_belongs_to_the_owner(home: Path, argv: tuple[str, ...]) -> None:
    assert manage(home, *argv, input=b"ann word\n").code == 0
    assert owners(home) == {(OWNER, OWNER)}


@pytest.mark.parametrize(
    "argv",
    [
        ("vchattr", "-c", "7", "ann"),
        ("vchforwards", "ann", "a@b.example"),
        ("vpasswd", "ann"),
        ("vpasswds",),
        ("vrename", "ann", "anna"),
        ("vdeluser", "ann"),
        ("vrehash",),
        ("vupgrade",),
        ("dumpvuser", "ann"),
        ("listvdomain",),
    ],
)
def test_what_root_changes_belongs_to_the_owner(home: Path, argv: tuple[str, ...]) -> None:
    assert run("vadduser", "ann", input=b"secret\n", env={"HOME": str(home)}, user=OWNER).code == 0
    assert manage(home, *argv, input=b"ann word\n").code == 0
    assert owners(home) == {(OWNER, OWNER)}


def test_root_has_the_owners_group_alone_and_runs_hooks_so(home: Path, around: Path) -> None:
    accounts = Accounts(around)
    accounts.add("sue", OWNER, "*", home)
    os.chown(home, OWNER, 0)
    hook = home / ".vmailmgr/vsetup-pre"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nid -u >seen; id -g >>seen; id -G >>seen\n")
    hook.chmod(0o755)
    assert manage(home, *accounts.seen_by, "vsetup").code == 0
    assert (home / "seen").read_text().split() == [str(OWNER)] * 3


def test_root_follows_no_link_in_the_home(home: Path, around: Path) -> None:
    kept = around / "kept"
    kept.mkdir(mode=0o700)
    (home / "users").symlink_to(kept)
    (home / "passwd.cdb.lock").symlink_to(kept / "lock")
    assert manage(home, "vadduser", "ann").code == 111
    assert list(kept.iterdir()) == []


def test_a_link_to_a_home_is_followed_as_the_one_whose_link_it_is(home: Path, around: Path) -> None:
    link = around / "link"
    link.symlink_to(home)
    assert manage(link, "vadduser", "ann").code == 0
    assert owners(home) == {(OWNER, OWNER)}
    os.lchown(link, OTHER, OTHER)
    home.chmod(0o700)
    assert manage(link, "vadduser", "bob") == (1, b"", b"vadduser: Can't change to home directory\n")
    roots = around / "roots"
    roots.mkdir()
    trap = around / "trap"
    trap.symlink_to(roots)
    os.lchown(trap, OTHER, OTHER)
    assert manage(trap, "vadduser", "bob").code == 111
    assert list(roots.iterdir()) == []


def test_root_stays_root_at_home(tmp_path: Path) -> None:
    assert manage(tmp_path, "vadduser", "ann").code == 0
    assert owners(tmp_path) == {(0, 0)}


@pytest.mark.parametrize("way", ["dom", "dom/", "dom/.", "middle/dom"])
def test_no_way_to_a_home_leads_root_where_its_owner_may_not_go(home: Path, around: Path, way: str) -> None:
    secret = around / "secret"
    (secret / "dom").mkdir(parents=True)
    for place in home, secret, secret / "dom":
        place.chmod(0o700)
    (home / "dom").symlink_to(secret / "dom")
    (home / "middle").symlink_to(secret)
    for link in "dom", "middle":
        os.lchown(home / link, OWNER, OWNER)
    done = run("vsetup", env={"HOME": f"{home}/{way}"})
    assert (done.code, done.err) == (1, b"vsetup: Can't change to home directory\n")
    assert list((secret / "dom").iterdir()) == []


def test_a_link_of_roots_may_be_on_the_way_to_a_home(home: Path, around: Path) -> None:
    (around / "link").symlink_to(".")
    assert run("vsetup", env={"HOME": f"{around}/link/{home.name}"}).code == 0
    assert owners(home) == {(OWNER, OWNER)}
