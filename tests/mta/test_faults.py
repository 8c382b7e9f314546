"""Whatever a machine in trouble refuses, mail is put off: it never bounces, and nobody outside hears a final no."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults import Outcome, faults_of
from peer import Peer, Step, Until

from mta.inject.inject import main as qmail_inject
from mta.local.getpw import main as qmail_getpw
from mta.local.local import main as qmail_local
from mta.remote.remote import main as qmail_remote
from mta.smtp.smtpd import main as qmail_smtpd

pytestmark = pytest.mark.long

MESSAGE = b"Received: x\nFrom: joe@irs.gov\nSubject: hi\n\nhello\n"
FOR_GOOD = 100
BUG = b": bug: "


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a queue that takes everything, and in it the home of bill."""
    for folder in ("control", "queue/lock", "bill"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "control/me").write_text("heaven.af.mil\n")
    (tmp_path / "control/rcpthosts").write_text("heaven.af.mil\n")
    (tmp_path / "queue/lock/tcpto").write_bytes(bytes(1024))
    queue = tmp_path / "capture"
    queue.write_text("#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\n")
    queue.chmod(0o755)
    return tmp_path


def variables(home: Path) -> dict[str, str]:
    return {"QMAILHOME": str(home), "QMAILQUEUE": str(home / "capture"), "TCPREMOTEIP": "192.0.2.7"}


def temporary(outcome: Outcome) -> bool:
    """Whether a run with a fault ended well, or as one that is to be tried again."""
    return outcome.code in (0, 111) and BUG not in outcome.err


@pytest.mark.parametrize(
    "instructions", ["./Maildir/", "./Mailbox", "|exit 0", "&mary@far.example", "# nothing", "|exit 99\n./Mailbox", ""]
)
def test_qmail_local_defers(instructions: str, home: Path) -> None:
    bill = home / "bill"

    def fresh() -> None:
        shutil.rmtree(bill)
        for part in ("tmp", "new", "cur"):
            (bill / "Maildir" / part).mkdir(parents=True)
        (bill / ".qmail-ext").write_text(instructions + "\n" if instructions else "")

    argv = [b"qmail-local", b"--", b"bill", bytes(bill), b"bill-ext", b"-", b"ext", b"heaven.af.mil", b"joe@irs.gov"]
    *failed, last = faults_of(
        qmail_local, [*argv, b"./Maildir/"], fresh=fresh, stdin=MESSAGE, env=variables(home), folder=str(home)
    )
    assert last.code == 0 and last.out.startswith(b"did ")
    assert len(failed) > 20
    assert [outcome for outcome in failed if not temporary(outcome)] == []
    assert any(outcome.code == 111 for outcome in failed)


def test_qmail_getpw_defers(home: Path) -> None:
    argv = [b"qmail-getpw", b"bill-ext"]
    *failed, last = faults_of(qmail_getpw, argv, env=variables(home), folder=str(home))
    assert last.code == 0
    told = {last.out}
    assert [outcome for outcome in failed if outcome.code == 0 and outcome.out not in told] == []
    assert [outcome for outcome in failed if outcome.code == FOR_GOOD or BUG in outcome.err] == []


def test_qmail_remote_defers(home: Path) -> None:
    dialogue: list[Step] = []
    for reply in (b"220 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        dialogue += [reply, Until(b"\r\n")]
    dialogue[-1] = Until(b"\r\n.\r\n")
    with Peer(*[[*dialogue, b"250 taken\r\n"]] * 1000) as peer:
        (home / "control/smtproutes").write_text(f":127.0.0.1:{peer.port}\n")
        argv = [b"qmail-remote", b"far.example", b"joe@irs.gov", b"mary@far.example"]
        *failed, last = faults_of(qmail_remote, argv, stdin=MESSAGE, env=variables(home), folder=str(home))
    assert (last.code, last.out[:3]) == (0, b"r\0K")
    assert len(failed) > 20
    assert {outcome.code for outcome in failed} <= {0, 111}, "111 is that the report could not be written: a deferral"
    reports = {outcome.out.removeprefix(b"r\0")[:1] for outcome in failed if not outcome.code}
    assert reports <= {b"K", b"Z"}


def test_qmail_smtpd_says_no_final_no(home: Path) -> None:
    said = b"HELO x\r\nMAIL FROM:<joe@irs.gov>\r\nRCPT TO:<bill@heaven.af.mil>\r\nDATA\r\n"
    said += b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n"
    *failed, last = faults_of(qmail_smtpd, [b"qmail-smtpd"], stdin=said, env=variables(home), folder=str(home))
    assert b"\r\n250 ok " in last.out
    assert len(failed) > 20
    for outcome in failed:
        assert BUG not in outcome.err, outcome
        replies = outcome.out.split(b"\r\n")
        # When a step has failed, those behind it are out of order, and 503 says so.
        first_no = next((reply for reply in replies if reply[:1] in (b"4", b"5")), b"")
        assert not first_no.startswith(b"5"), outcome


def test_qmail_inject_fails_for_now(home: Path) -> None:
    argv = [b"qmail-inject", b"-a", b"mary@far.example"]
    *failed, last = faults_of(
        qmail_inject, argv, stdin=b"Subject: hi\n\nhello\n", env=variables(home), folder=str(home)
    )
    assert last.code == 0
    assert len(failed) > 20
    assert [outcome for outcome in failed if not temporary(outcome)] == []
