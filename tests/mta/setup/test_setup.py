"""qmail-setup lays out a home, says what is wrong with it, and mends it."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, Result, run
from instance import NOBODY

from mta.setup.controls import first_controls
from mta.setup.plan import FILE, FOLDER, pieces
from mta.setup.services import SERVICES, adapted, file_of

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]


class Home:
    """A home laid out by root or by a plain user."""

    def __init__(self, folder: Path, rooted: bool) -> None:
        self.folder = folder
        self.user = NOBODY if os.geteuid() == 0 and not rooted else None
        if self.user is not None:
            os.chown(folder, self.user, self.user)
        assert self.setup("--host", "mx.mail.example").code == 0

    def setup(self, *words: str, **more: object) -> Result:
        env = {"QMAILHOME": str(self.folder)}
        return run("qmail-setup", *words, env=env, user=self.user, cwd="/", **more)  # type: ignore[arg-type]

    def check(self) -> list[str]:
        """What is found wrong, without the home's folder."""
        done = self.setup("--check")
        lines = done.out.decode().replace(f"{self.folder}/", "").splitlines()
        assert (done.code, done.err) == (1 if lines else 0, b"")
        return lines

    def fix(self, *words: str) -> None:
        done = self.setup("--fix", *words)
        assert (done.code, done.err) == (0, b""), done
        assert self.check() == []


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, open_folder: Path) -> Home:
    return Home(open_folder, request.param)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "home"
        folder.mkdir()
        folder.parent.chmod(0o755)
        yield folder


def contents(folder: Path) -> dict[str, object]:
    """Everything below *folder* with its inode, mode, owner and time of change."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        seen = path.lstat()
        found[str(path)] = (seen.st_ino, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns)
    return found


def test_a_new_home_is_in_order_and_laying_it_out_again_changes_nothing(home: Home) -> None:
    assert home.check() == []
    before = contents(home.folder)
    assert home.setup("--host", "other.example") == (0, b"", b"")
    assert contents(home.folder) == before


def test_a_new_home_asks_for_additions_and_what_a_site_takes_away_stays_away(home: Home) -> None:
    control = home.folder / "control"
    assert {name: (control / name).read_text() for name in ("recipients", "smtpcapabilities", "trace")} == {
        "recipients": "1\n",
        "smtpcapabilities": "SIZE\n",
        "trace": "1\n",
    }
    (control / "recipients").unlink()
    assert home.setup().code == 0
    assert not (control / "recipients").exists()


def test_the_first_control_files_follow_from_the_hosts_name() -> None:
    assert first_controls(b"mx.mail.example.org") == {
        b"me": b"mx.mail.example.org",
        b"defaultdomain": b"mail.example.org",
        b"plusdomain": b"example.org",
        b"locals": b"mx.mail.example.org",
        b"rcpthosts": b"mx.mail.example.org",
    }
    assert first_controls(b"host.example")[b"defaultdomain"] == b"host.example"
    assert first_controls(b"host")[b"plusdomain"] == b"host"


def test_check_finds_and_fix_mends_owners_modes_and_missing_or_damaged_pieces(home: Home) -> None:
    folder = home.folder
    (folder / "control").chmod(0o700)
    (folder / "service/qmail-send").chmod(0o755)
    shutil.rmtree(folder / "queue/todo")
    (folder / "queue/lock/trigger").unlink()
    (folder / "queue/lock/trigger").touch()
    os.truncate(folder / "queue/lock/tcpto", 5)
    (folder / "bin").unlink()
    (folder / "bin").symlink_to("/nowhere")
    assert home.check() == [
        "control: mode 0700, should be 0755",
        f"bin: leads to /nowhere, should lead to {BIN}",
        "queue/todo: missing",
        "queue/lock/trigger: damaged: not a fifo",
        "queue/lock/tcpto: damaged: 5 bytes, should be 1024",
        "service/qmail-send: mode 0755, should be 1755",
    ]
    home.fix()


@pytest.mark.parametrize("home", KINDS[1:], indirect=True)
def test_fix_gives_planback_to_their_owners(home: Home) -> None:
    os.chown(home.folder / "queue/bounce", 0, 0)
    (found,) = home.check()
    assert found.startswith("queue/bounce: owner 0:0, should be qmails:qmail (")
    home.fix()


def test_every_piece_that_goes_is_missed_and_comes_back(home: Home) -> None:
    plan = {os.fsdecode(piece.path): piece for piece in pieces(SERVICES)}
    texts = {name: (home.folder / name).read_bytes() for name, piece in plan.items() if piece.kind == FILE}
    for name, piece in plan.items():
        if piece.kind != FOLDER:
            (home.folder / name).unlink()
    assert home.check() == [f"{name}: missing" for name, piece in plan.items() if piece.kind != FOLDER]
    home.fix("--host", "mx.mail.example")
    assert {name: (home.folder / name).read_bytes() for name in texts} == texts
    shutil.rmtree(home.folder / "queue")
    shutil.rmtree(home.folder / "service")
    gone = [f"{name}: missing" for name in plan if name.split("/")[0] in ("queue", "service")]
    assert home.check() == gone
    home.fix()
    assert {name: (home.folder / name).read_bytes() for name in texts} == texts


@pytest.mark.root
@pytest.mark.parametrize("home", KINDS[:1], indirect=True)
def test_a_plain_users_home_stays_that_users_when_root_mends_it(home: Home) -> None:
    user, home.user = home.user, None
    assert home.check() == []
    (home.folder / "service/qmail-smtpd/run").unlink()
    home.fix()
    script = home.folder / "service/qmail-smtpd/run"
    assert script.stat().st_uid == user
    assert " 127.0.0.1 2525 " in script.read_text()


def test_check_names_messages_in_no_legal_state_and_files_of_no_message(home: Home) -> None:
    queue = home.folder / "queue"
    for name in "mess/7/123", "info/3/x":
        (queue / name).touch(mode=0o644)
    (queue / "info/0/23").touch(mode=0o600)
    if home.user is None and os.geteuid() == 0:
        owner = pwd.getpwnam("qmails")
        os.chown(queue / "info/0/23", owner.pw_uid, (queue / "info").stat().st_gid)
    elif home.user is not None:
        os.chown(queue / "info/0/23", home.user, home.user)
    assert home.check() == [
        "queue/mess/7/123: belongs to no message",
        "queue/info/3/x: belongs to no message",
        "message 23 is in no legal state: ---+--- (mess intd todo info local remote bounce)",
    ]
    assert home.setup("--fix").code == 1
    assert (queue / "mess/7/123").exists()


def test_what_a_site_wrote_is_left_alone(home: Home) -> None:
    script = home.folder / "service/qmail-smtpd/run"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    (home.folder / "control/me").write_text("other.example\n")
    (home.folder / "control/rcpthosts").unlink()
    assert home.check() == []
    (home.folder / "control").chmod(0o700)
    home.fix()
    assert script.read_text() == "#!/bin/sh\nexec sleep 1000\n"
    assert (home.folder / "control/me").read_text() == "other.example\n"
    assert not (home.folder / "control/rcpthosts").exists()


def test_mail_to_the_postmaster_goes_where_it_is_told(home: Home) -> None:
    shutil.rmtree(home.folder / "alias")
    assert home.setup("--to", "joe@far.example").code == 0
    for name in "postmaster", "mailer-daemon", "root":
        assert (home.folder / f"alias/.qmail-{name}").read_text() == "&joe@far.example\n"
    assert not (home.folder / "alias/Maildir").exists()


def test_scripts_are_adapted_to_the_address_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QMAILHOME", "/srv/mail")
    script = adapted(file_of(b"qmail-smtpd/run"), b"::1", 2500)
    assert b" ::1 2500 " in script and b'QMAILHOME="/srv/mail";' in script and b"/var/qmail" not in script


@pytest.mark.parametrize("words", [["--nonsense"], ["a", "b"], ["--port", "x"], ["--check", "--fix"], ["--host"]])
def test_wrong_usage_is_refused(words: list[str], tmp_path: Path) -> None:
    done = run("qmail-setup", *words, cwd=tmp_path, env={"QMAILHOME": str(tmp_path / "home")})
    assert done.code == 100 and done.err.startswith(b"qmail-setup: usage: qmail-setup ")
    assert os.listdir(tmp_path) == []


def test_a_homes_name_may_hold_what_the_shell_takes_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    name = b'/srv/a "b" $c `d` \\e'
    monkeypatch.setitem(os.environb, b"QMAILHOME", name)
    script = adapted(file_of(b"qmail-queued/run"), b"0", 25)
    lines = [line for line in script.splitlines() if line.startswith(b"QMAILHOME=")]
    out = run("sh", "-c", lines[0] + b'; printf %s "$QMAILHOME"').out
    assert out == name
