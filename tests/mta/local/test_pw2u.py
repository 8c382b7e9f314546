"""qmail-pw2u, beyond the recorded runs: what it prints is what qmail-newu takes and qmail-lspawn finds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Result, run

from mta.local.users import User, look_up
from ucspi.cdb import Cdb

ALIAS = b"alias:x:7790:2108::/var/alias:/bin/true\n"


class Home:
    """A home with a folder users."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.env = folder, {"QMAILHOME": str(folder)}
        (folder / "users").mkdir()

    def pw2u(self, *options: str, passwd: bytes) -> Result:
        return run("qmail-pw2u", *options, input=passwd, env=self.env)

    def owner(self, local: bytes) -> tuple[bytes, bytes, bytes] | None:
        """Who has *local*, and the dash and extension of the .qmail file."""
        cdb = Cdb.open(os.fsencode(self.folder / "users/cdb"))
        assert cdb
        try:
            found = look_up(cdb, local)
        finally:
            cdb.close()
        user = User.parse(found) if found is not None else None
        return (user.name, user.dash, user.ext) if user else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_what_it_prints_makes_a_table_in_which_everybody_is_found(home: Home) -> None:
    (home.folder / "users/mailnames").write_text("JOE:joseph:j.doe\n")
    (home.folder / "users/subusers").write_text("sales:bill:shop:\n")
    passwd = ALIAS + b"joe:x:5:5::/h/joe:/bin/sh\nbill:x:6:6::/h/bill:/bin/sh\nroot:x:0:0::/root:/bin/sh\n"
    done = home.pw2u("-H", passwd=passwd)
    assert (done.code, done.err) == (0, b"")
    (home.folder / "users/assign").write_bytes(done.out)
    assert run("qmail-newu", env=home.env).code == 0
    assert home.owner(b"Joseph") == (b"joe", b"", b"")
    assert home.owner(b"j.doe-Lists") == (b"joe", b"-", b"Lists")
    assert home.owner(b"sales-Mon") == (b"bill", b"-", b"shop-Mon")
    for local in (b"joe", b"root", b"nobody-x"):
        assert home.owner(local) == (b"alias", b"-", local)


def test_a_home_decides_unless_it_is_not_to_be_looked_at(home: Home, tmp_path: Path) -> None:
    here, none = tmp_path / "here", tmp_path / "none"
    here.mkdir()
    uid = os.geteuid() or 4242
    if not os.geteuid():
        os.chown(here, uid, uid)
    passwd = ALIAS + f"ours:x:{uid}:1::{here}:\nnot:x:{uid + 1}:1::{here}:\ngone:x:{uid}:1::{none}:\n".encode()

    def users(*options: str) -> list[bytes]:
        found = home.pw2u(*options, passwd=passwd).out.split(b"\n")
        return [line.partition(b":")[0] for line in found if line.startswith(b"=")]

    assert users("-H") == [b"=alias", b"=ours", b"=not", b"=gone"]
    assert users("-Ho") == users("-hHo") == users() == [b"=ours"]
    said = f"qmail-pw2u: fatal: unable to stat {none}\n".encode()
    (home.folder / "users/exclude").write_text("Alias\n")
    assert home.pw2u("-h", passwd=passwd) == (111, b"", said)


def test_output_is_cut_off_by_no_size_of_the_password_file(home: Home) -> None:
    passwd = ALIAS + b"".join(b"u%d:x:%d:9::/home/u%d:/bin/sh\n" % (n, n, n) for n in range(1, 20_000))
    done = home.pw2u("-HC", passwd=passwd)
    assert (done.code, done.err) == (0, b"")
    assert done.out.count(b"\n") == 20_000 + 2 and done.out.endswith(b"=u19999:u19999:19999:9:/home/u19999:::\n.\n")


def test_input_that_cannot_be_read_gives_no_table(home: Home) -> None:
    done = run("sh", "-c", "exec qmail-pw2u -H 0>/dev/null", env=home.env)
    assert done == (111, b"", b"qmail-pw2u: fatal: unable to read input\n")
    done = run("qmail-pw2u", env={"QMAILHOME": str(home.folder / "none")})
    assert done == (111, b"", b"qmail-pw2u: fatal: unable to chdir\n")
