"""qmail-newmrh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of

from mta.smtp import newmrh
from ucspi.cdb import Cdb


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "control").mkdir()
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mask = os.umask(0o22)
    yield tmp_path
    os.umask(mask)  # the command has its own


def holds(home: Path, host: bytes) -> bool:
    cdb = Cdb.open(os.fsencode(home / "control/morercpthosts.cdb"))
    assert cdb
    try:
        return cdb.get(host) is not None
    finally:
        cdb.close()


def test_qmail_newmrh_crashed_at_any_call_leaves_the_old_hosts_or_the_new_ones(home: Path) -> None:
    source, seen = home / "control/morercpthosts", set()

    def fresh() -> None:
        source.write_text("old.example\n")
        assert run("qmail-newmrh").code == 0  # and not here, where it would leave its umask
        source.write_text("new.example\nmore.example\n")

    for _ in crashes_of(lambda: newmrh.main([b"qmail-newmrh"]), fresh):
        seen.add(tuple(holds(home, host) for host in (b"old.example", b"new.example", b"more.example")))
    assert seen == {(True, False, False), (False, True, True)}


def test_qmail_newmrh_says_what_it_cannot_do(home: Path) -> None:
    (home / "control/morercpthosts").write_text("a.example\n")
    (home / "control/morercpthosts.cdb").mkdir()
    moved = b"unable to move control/morercpthosts.tmp to control/morercpthosts.cdb: is a directory\n"
    assert run("qmail-newmrh", env={"QMAILHOME": str(home)}) == (111, b"", b"qmail-newmrh: fatal: " + moved)
    (home / "control/morercpthosts.tmp").unlink()
    (home / "control/morercpthosts.tmp").mkdir()
    done = run("qmail-newmrh", env={"QMAILHOME": str(home)})
    assert done.err == b"qmail-newmrh: fatal: unable to write to control/morercpthosts.tmp: is a directory\n"
    assert run("qmail-newmrh", env={"QMAILHOME": str(home / "none")}).code == 111
