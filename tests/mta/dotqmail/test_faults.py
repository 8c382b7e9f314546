"""Whatever a machine in trouble refuses, a program for .qmail files says what it would have, or puts the mail off."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from faults import faults_of
from injecting import Home

from mta.dotqmail.bouncesaying import main as bouncesaying
from mta.dotqmail.condredirect import main as condredirect
from mta.dotqmail.except_ import main as except_
from mta.dotqmail.forward import main as forward
from mta.dotqmail.preline import main as preline
from mta.dotqmail.qbiff import main as qbiff
from mta.dotqmail.qreceipt import main as qreceipt
from mta.dotqmail.qsmhook import main as qsmhook
from mta.mailbox.maildir2mbox import main as maildir2mbox
from supervise.command import Command

pytestmark = pytest.mark.long

MESSAGE = b"Received: x\nNotice-Requested-Upon-Delivery-To: bill@h\nSubject: hi\n\n" + b"hello\n" * 3000


@pytest.mark.parametrize(
    ("command", "line", "code"),
    [
        (forward, b"forward sue@x.y", 0),
        (condredirect, b"condredirect sue@x.y true", 99),
        (condredirect, b"condredirect sue@x.y false", 0),
        (bouncesaying, b"bouncesaying no true", 100),
        (bouncesaying, b"bouncesaying no false", 0),
        (except_, b"except true", 100),
        (except_, b"except false", 0),
        (preline, b"preline cat", 0),
        (qsmhook, b"qsmhook cat", 0),
        (qreceipt, b"qreceipt bill@h", 0),
        (qbiff, b"qbiff", 0),
    ],
)
def test_no_fault_changes_what_becomes_of_a_message(home: Home, command: Command, line: bytes, code: int) -> None:
    env = {"USER": "bill", **{name: value for name, value in home.env.items() if value is not None}}
    *failed, last = faults_of(command, line.split(), stdin=MESSAGE, env=env, folder=str(home.folder))
    assert last.code == code
    assert failed
    assert [outcome for outcome in failed if outcome.code not in (code, 111) or b": bug: " in outcome.err] == []
    if command is not qbiff:
        assert any(outcome.code == 111 for outcome in failed)


def test_no_fault_loses_a_message_on_its_way_to_an_mbox(tmp_path: Path) -> None:
    maildir, box = tmp_path / "Maildir", tmp_path / "mbox"
    env = {"MAILDIR": str(maildir), "MAIL": str(box), "MAILTMP": f"{box}.new"}

    def fresh() -> None:
        shutil.rmtree(maildir, ignore_errors=True)
        for name in ("tmp", "new", "cur"):
            (maildir / name).mkdir(parents=True)
        (maildir / "new/a").write_bytes(b"Subject: a\n\na\n")
        os.utime(maildir / "new/a", (1, 1))
        box.write_bytes(b"From old\n\n")

    done = 0
    for outcome in faults_of(maildir2mbox, [b"maildir2mbox"], fresh=fresh, env=env):
        stored, kept = b"\nSubject: a\n\na\n" in box.read_bytes(), (maildir / "new/a").exists()
        assert stored or kept, outcome
        assert outcome.code in (0, 111) and b": bug: " not in outcome.err, outcome
        assert box.read_bytes().startswith(b"From old\n\n"), outcome
        done += 1
    assert done > 20 and stored and not kept
