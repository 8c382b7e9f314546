from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of
from hypothesis import given
from hypothesis import strategies as st

from mta.local import newu
from mta.local.users import User, look_up, records
from supervise.errors import Temporary
from ucspi.cdb import Cdb


class Table(dict[bytes, bytes]):
    """users/cdb in memory: the first record of a key counts."""

    def __init__(self, assign: bytes) -> None:
        for key, data in records(assign):
            self.setdefault(key, data)


ASSIGN = b"""\
=joe:joe:1:1:/home/joe:::
+joe-:joe:1:1:/home/joe:-::
+joe-list-:ann:2:2:/home/ann:-:list-:
+Bob.:bob:3:3:/home/bob:.::
+:alias:4:4:/alias:-::
.
"""


@pytest.mark.parametrize(
    ("local", "found"),
    [
        (b"joe", b"joe 1 1 /home/joe  "),
        (b"JOE", b"joe 1 1 /home/joe  "),
        (b"joe-Ext", b"joe 1 1 /home/joe - Ext"),
        (b"joe-", b"joe 1 1 /home/joe - "),
        (b"joe-list", b"joe 1 1 /home/joe - list"),
        (b"Joe-List-Sub-X", b"ann 2 2 /home/ann - list-Sub-X"),
        (b"joey", b"alias 4 4 /alias - joey"),
        (b"bob.x", b"bob 3 3 /home/bob . x"),
        (b"bob-x", b"alias 4 4 /alias - bob-x"),
    ],
)
def test_the_exact_address_comes_first_and_then_the_longest_prefix(local: bytes, found: bytes) -> None:
    assert look_up(Table(ASSIGN), local) == found.replace(b" ", b"\0")


def test_an_address_that_is_not_assigned_is_not_found() -> None:
    assert look_up(Table(b"=joe:joe:1:1:/home/joe:::\n.\n"), b"jim") is None
    assert look_up(Table(b".\n"), b"jim") is None


NAMES = st.text("ab-.", max_size=5).map(str.encode)


@given(st.lists(st.tuples(st.sampled_from([b"=", b"+"]), NAMES), max_size=8), NAMES.filter(bool))
def test_every_address_finds_what_a_search_through_the_lines_finds(
    entries: list[tuple[bytes, bytes]], local: bytes
) -> None:
    lines = [b"%s%s:u%d:1:1:/h:-:pre:\n" % (kind, name, number) for number, (kind, name) in enumerate(entries)]
    exact = [number for number, entry in enumerate(entries) if entry == (b"=", local)]
    beginning = [(len(n), -i) for i, (kind, n) in enumerate(entries) if kind == b"+" and local.startswith(n)]
    if exact:
        expected = User(b"u%d" % exact[0], 1, 1, b"/h", b"-", b"pre").data()[:-1]
    elif beginning:
        size, number = max(beginning)
        expected = User(b"u%d" % -number, 1, 1, b"/h", b"-", b"pre" + local[size:]).data()[:-1]
    else:
        expected = None
    assert look_up(Table(b"".join(lines) + b".\n"), local) == expected


def test_a_table_without_its_list_of_last_characters_is_damaged() -> None:
    with pytest.raises(Temporary):
        look_up({b"!joe\0": b"joe"}, b"joe")


@pytest.mark.parametrize(
    "line", [b"", b"joe", b":joe:1:1:/h:::", b"=joe:joe:1:1:/h::", b"=joe\0:joe:1:1:/h:::", b"=joe:joe:1:1:/h:::\0"]
)
def test_a_line_of_no_known_form_is_an_error(line: bytes) -> None:
    with pytest.raises(Temporary, match="bad format in users/assign"):
        list(records(b"=a:a:1:1:/a:::\n" + line + b"\n.\n"))


def test_users_survive_being_written_and_parsed() -> None:
    user = User.parse(User(b"joe", 5, 6, b"/home/joe", b"-", b"ext").data())
    assert (user.name, user.uid, user.gid, user.home, user.dash, user.ext) == (b"joe", 5, 6, b"/home/joe", b"-", b"ext")


# -- qmail-newu ----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "users").mkdir()
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def owner(home: Path) -> bytes:
    table = Cdb.open(bytes(home / "users/cdb"))
    assert table
    found = look_up(table, b"joe")
    table.close()
    return User.parse(found or b"").name


def test_a_killed_newu_leaves_the_old_table_or_the_new_one(home: Path) -> None:
    def fresh() -> None:
        shutil.rmtree(home / "users")
        (home / "users").mkdir()
        (home / "users/assign").write_text("=joe:old:1:1:/h:::\n.\n")
        assert newu.main([b"qmail-newu"]) == 0
        (home / "users/assign").write_text("=joe:new:1:1:/h:::\n.\n")

    umask = os.umask(0o22)
    seen = []
    for _ in crashes_of(lambda: newu.main([b"qmail-newu"]), fresh):
        seen.append(owner(home))
        assert newu.main([b"qmail-newu"]) == 0  # and the next run works
        assert owner(home) == b"new"
    os.umask(umask)
    assert seen == sorted(seen, reverse=True) and set(seen) == {b"old", b"new"}


def test_an_error_leaves_the_old_table_and_no_draft(home: Path) -> None:
    (home / "users/assign").write_text("=joe:old:1:1:/h:::\n.\n")
    assert run("qmail-newu").code == 0
    (home / "users/assign").write_text("=joe:new:1:1:/h:::\n")
    assert run("qmail-newu") == (111, b"", b"qmail-newu: fatal: bad format in users/assign\n")
    assert owner(home) == b"old"
    assert sorted(os.listdir("users")) == ["assign", "cdb"]


def test_a_table_that_cannot_be_written_says_where(home: Path) -> None:
    (home / "users/assign").write_text(".\n")
    (home / "users/cdb.tmp").mkdir()
    assert run("qmail-newu").err == b"qmail-newu: fatal: unable to open users/cdb.tmp\n"
    (home / "users/cdb.tmp").rmdir()
    (home / "users/cdb").mkdir()
    assert run("qmail-newu").err == b"qmail-newu: fatal: unable to move users/cdb.tmp to users/cdb\n"


def test_a_home_that_is_not_there_is_an_error() -> None:
    assert run("qmail-newu", env={"QMAILHOME": "/nowhere"}) == (111, b"", b"qmail-newu: fatal: unable to chdir\n")


def test_the_table_may_be_read_by_all(home: Path) -> None:
    (home / "users/assign").write_text(".\n")
    umask = os.umask(0o77)
    assert run("qmail-newu").code == 0
    os.umask(umask)
    assert (home / "users/cdb").stat().st_mode & 0o777 == 0o644
