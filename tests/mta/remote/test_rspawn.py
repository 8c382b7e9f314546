"""qmail-rspawn: requests in, deliveries by qmail-remote, reports out."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from commands import BIN, run, start
from peer import GOOD, STALL, Peer
from until import until

from mta.remote.rspawn import merged

TAKEN = b"K127.0.0.1 accepted message.\nRemote host said: 250 taken\n"


class Rspawn:
    """A running qmail-rspawn, seen from qmail-send."""

    def __init__(self, **env: str) -> None:
        self.process = start("qmail-rspawn", stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        assert self.process.stdin and self.process.stdout
        self.requests, self.reports = self.process.stdin.fileno(), self.process.stdout.fileno()
        assert os.read(self.reports, 1) == bytes([120])

    def ask(self, number: int = 1, recipient: bytes = b"bill@y", sender: bytes = b"joe@x") -> None:
        os.write(self.requests, b"%c0/23\0%s\0%s\0" % (number, sender, recipient))

    def hear(self) -> tuple[int, bytes]:
        """The next report."""
        number = os.read(self.reports, 1)
        report = b""
        while not report.endswith(b"\0"):
            piece = os.read(self.reports, 1)
            assert piece
            report += piece
        return number[0], report[:-1]

    def end(self) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        code = self.process.wait()
        self.process.stdout.close()
        return code


@pytest.fixture
def queue(home: Path) -> Path:
    """A home whose queue has one message, with the right owner."""
    message = home / "queue/mess/0/23"
    message.write_bytes(b"Subject: x\n\nhello\n")
    if os.geteuid() == 0:
        try:
            os.chown(message, pwd.getpwnam("qmailq").pw_uid, -1)
        except KeyError:
            pytest.skip("there is no user qmailq")
    (home / "bin").symlink_to(BIN)
    return home


@pytest.fixture
def relayed(queue: Path) -> Iterator[Peer]:
    """A server that gets all mail, and takes it."""
    with Peer(*[GOOD] * 50) as peer:
        (queue / "control/smtproutes").write_text(f":127.0.0.1:{peer.port}\n")
        yield peer


def program(queue: Path, text: str) -> str:
    """A program to run in place of qmail-remote."""
    path = queue / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("output", "report"),
    [
        (b"r\0Ktaken\n\0", b"Ktaken\n"),
        (b"r\0Zlater\n\0", b"Zlater\n"),
        (b"r\0Dnever\n\0", b"Dnever\n"),
        (b"hno\n\0Dgiving up\n\0", b"Dno\ngiving up\n"),
        (b"snot now\n\0Dgiving up\n\0", b"Znot now\ngiving up\n"),
        (b"snot now\n\0Zlater\n\0", b"Znot now\nlater\n"),
        (b"hno\n\0Ktaken\n\0", b"Dno\n"),
        (b"hno\n\0Zlater\n\0", b"Dno\n"),
        (b"snot now\n\0Ktaken\n\0", b"Znot now\n"),
        (b"Zlater\n\0", b"Zlater\n"),
        (b"Dnever\n\0", b"Dnever\n"),
        (b"r\0noise\0Ktaken\n\0", b"Ktaken\n"),
        # what says nothing about the message must not bounce it
        (b"r\0", b"Zqmail-remote produced no report.\n"),
        (b"r\0Knot ended", b"Zqmail-remote produced no report.\n"),
        (b"noise", b"Zqmail-remote produced no report.\n"),
        (b"noise\0", b"Zoise"),
        (b"\0", b"Z"),
        (b"\0Kok\0", b"Kok"),
    ],
)
def test_two_reports_become_one(output: bytes, report: bytes) -> None:
    assert merged(output.split(b"\0")[:-1]) == report


def test_mail_is_delivered_by_a_worker_that_is_used_again(relayed: Peer) -> None:
    rspawn = Rspawn()
    for number in range(1, 31):
        rspawn.ask(number, b"u%d@host%d" % (number, number))
        assert rspawn.hear() == (number, TAKEN)
    workers = psutil.Process(rspawn.process.pid).children()
    assert len(workers) == 1
    assert rspawn.end() == 0
    assert [heard.count(b"RCPT TO:<u%d@host%d>\r\n" % (n, n)) for n, heard in enumerate(relayed.heard, 1)] == [1] * 30
    assert all(heard.endswith(b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n") for heard in relayed.heard)


def test_control_files_are_read_for_each_delivery(queue: Path, relayed: Peer) -> None:
    rspawn = Rspawn()
    rspawn.ask()
    assert rspawn.hear() == (1, TAKEN)
    (queue / "control/me").unlink()
    rspawn.ask()
    assert rspawn.hear() == (1, b"ZUnable to read control files. (#4.3.0)\n")
    (queue / "control/helohost").write_text("other.example\n")
    rspawn.ask()
    assert rspawn.hear() == (1, TAKEN)
    assert rspawn.end() == 0
    assert [heard.partition(b"\r\n")[0] for heard in relayed.heard] == [b"HELO me.example", b"HELO other.example"]


def test_deliveries_run_side_by_side(queue: Path) -> None:
    with Peer([STALL]) as slow, Peer(GOOD) as fast:
        (queue / "control/smtproutes").write_text(f"slow:127.0.0.1:{slow.port}\nfast:127.0.0.1:{fast.port}\n")
        rspawn = Rspawn()
        rspawn.ask(1, b"bill@slow")
        until(lambda: slow.heard)
        rspawn.ask(2, b"bill@fast")
        assert rspawn.hear() == (2, TAKEN)
    assert rspawn.hear() == (1, b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n")
    assert rspawn.end() == 0


def test_a_worker_that_is_killed_defers_its_delivery_and_no_other(queue: Path) -> None:
    with Peer([STALL]) as slow, Peer(GOOD) as fast:
        (queue / "control/smtproutes").write_text(f"slow:127.0.0.1:{slow.port}\nfast:127.0.0.1:{fast.port}\n")
        rspawn = Rspawn()
        rspawn.ask(1, b"bill@slow")
        until(lambda: slow.heard)
        (worker,) = psutil.Process(rspawn.process.pid).children()
        os.kill(worker.pid, signal.SIGKILL)
        assert rspawn.hear() == (1, b"Zqmail-remote crashed.\n")
        rspawn.ask(2, b"bill@fast")
        assert rspawn.hear() == (2, TAKEN)
        assert rspawn.end() == 0


def test_another_program_finds_host_sender_recipient_and_message(queue: Path) -> None:
    script = program(queue, 'printf "r\\0K%s/%s/%s/%s\\0" "$1" "$2" "$3" "$(head -1)"')
    rspawn = Rspawn(QMAILREMOTE=script)
    rspawn.ask(7, b"a@b@y", b"")
    assert rspawn.hear() == (7, b"Ky//a@b@y/Subject: x")
    assert rspawn.end() == 0


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("exit 0", b"Zqmail-remote produced no output.\n"),
        ("exit 100", b"ZUnable to run qmail-remote.\n"),
        ("exit 111", b"ZUnable to run qmail-remote.\n"),
        ("echo oops", b"Zqmail-remote produced no report.\n"),
        ("printf 'r\\0K\\0'; kill -9 $$", b"Zqmail-remote crashed.\n"),
    ],
)
def test_a_qmail_remote_that_fails_never_bounces_mail(queue: Path, text: str, report: bytes) -> None:
    rspawn = Rspawn(QMAILREMOTE=program(queue, text))
    for _ in range(2):
        rspawn.ask()
        assert rspawn.hear() == (1, report)
    assert rspawn.end() == 0


def test_a_qmail_remote_that_is_missing_never_bounces_mail(queue: Path) -> None:
    rspawn = Rspawn(QMAILREMOTE=str(queue / "missing"))
    rspawn.ask()
    assert rspawn.hear() == (1, b"ZUnable to run qmail-remote.\n")
    assert rspawn.end() == 0


def test_hosts_that_did_not_answer_are_forgotten_at_the_start(queue: Path) -> None:
    table = queue / "queue/lock/tcpto"
    table.write_bytes(b"\x7f\0\0\1\5" * 200)
    assert Rspawn().end() == 0
    assert table.read_bytes() == bytes(1024)


def test_without_a_queue_it_fails(tmp_path: Path) -> None:
    done = run("qmail-rspawn", env={"QMAILHOME": str(tmp_path)})
    assert done.code == 111
    assert done.out == b""
