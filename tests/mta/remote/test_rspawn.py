"""qmail-rspawn: requests in, deliveries by qmail-remote, reports out."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from commands import BIN, run, start
from peer import GOOD, LINE, STALL, Peer, Step, Until
from until import until

from mta.remote.rspawn import merged, shared

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


# -- recipients that share a connection ----------------------------------------------------


@pytest.mark.parametrize(
    ("output", "reports"),
    [
        (b"r\0r\0Ktaken\0", [b"Ktaken", b"Ktaken"]),
        (b"r\0hno\0Ktaken\0", [b"Ktaken", b"Dno"]),
        (b"slater\0r\0Ktaken\0", [b"Zlater", b"Ktaken"]),
        (b"hno\0slater\0Dgiving up\0", [b"Dnogiving up", b"Zlatergiving up"]),
        (b"r\0r\0Zdied\0", [b"Zdied", b"Zdied"]),
        (b"r\0hno\0Dspam\0", [b"Dspam", b"Dnospam"]),
        (b"Zdown\0", [b"Zdown", b"Zdown"]),
        (b"Dnever\0", [b"Dnever", b"Dnever"]),
        (b"hno\0Zdied\0", [b"Dno", b"Zdied"]),
        # nobody knows whose report it is
        (b"r\0Ktaken\0", [b"Zqmail-remote produced no report.\n"] * 2),
        (b"Ktaken\0", [b"Zqmail-remote produced no report.\n"] * 2),
        (b"r\0noise\0hno\0Ktaken\0", [b"Zqmail-remote produced no report.\n"] * 2),
        (b"r\0r\0hno\0Ktaken\0", [b"Zqmail-remote produced no report.\n"] * 2),
        (b"r\0r\0", [b"Zqmail-remote produced no report.\n"] * 2),
        (b"noise", [b"Zqmail-remote produced no report.\n"] * 2),
    ],
)
def test_of_a_shared_connection_each_recipient_has_a_report(output: bytes, reports: list[bytes]) -> None:
    assert shared(output.split(b"\0")[:-1], 2) == reports


MIXED: list[Step] = [
    *GOOD[:7], LINE, b"550 no\r\n", LINE, b"450 later\r\n", LINE, b"354 go\r\n", Until(b"\r\n.\r\n"), b"250 taken\r\n",
]  # fmt: skip


def test_recipients_of_a_message_at_a_host_share_a_connection_if_they_may(queue: Path) -> None:
    (queue / "control/recipientsremote").write_text("3\n")
    script = f'echo "$@" >>{queue}/run; shift 2; for to; do printf "r\\0"; done; printf "Kto %s\\0" "$*"'
    rspawn = Rspawn(QMAILREMOTE=program(queue, script))
    asked = [
        (1, b"joe@x", b"a@y"),
        (2, b"joe@x", b"other@z"),
        (3, b"joe@x", b"b@Y"),
        (4, b"sue@x", b"sender@y"),
        (5, b"joe@x", b"c@y"),
        (6, b"joe@x", b"fourth@y"),
    ]
    os.write(rspawn.requests, b"".join(b"%c0/23\0%s\0%s\0" % request for request in asked))
    reports = dict(rspawn.hear() for _ in asked)
    assert rspawn.end() == 0
    runs = sorted((queue / "run").read_text().splitlines())
    assert runs == ["y joe@x a@y b@Y c@y", "y joe@x fourth@y", "y sue@x sender@y", "z joe@x other@z"]
    together = b"Kto a@y b@Y c@y"
    assert reports == {
        1: together, 2: b"Kto other@z", 3: together, 4: b"Kto sender@y", 5: together, 6: b"Kto fourth@y"
    }  # fmt: skip


def test_what_the_host_says_of_one_is_that_ones_report(queue: Path) -> None:
    (queue / "control/recipientsremote").write_text("9\n")
    with Peer(MIXED) as peer:
        (queue / "control/smtproutes").write_text(f":127.0.0.1:{peer.port}\n")
        rspawn = Rspawn()
        os.write(rspawn.requests, b"".join(b"%c0/23\0joe@x\0u%d@y\0" % (number, number) for number in range(3)))
        reports = dict(rspawn.hear() for _ in range(3))
        assert rspawn.end() == 0
    refused = b"127.0.0.1 does not like recipient.\nRemote host said: "
    assert reports == {0: TAKEN, 1: b"D" + refused + b"550 no\n", 2: b"Z" + refused + b"450 later\n"}
    assert re.findall(rb"RCPT TO:<(.*?)>", peer.heard[0]) == [b"u0@y", b"u1@y", b"u2@y"]


def test_without_the_file_each_recipient_has_a_connection(queue: Path, relayed: Peer) -> None:
    rspawn = Rspawn()
    os.write(rspawn.requests, b"".join(b"%c0/23\0joe@x\0u%d@y\0" % (number, number) for number in range(5)))
    assert {rspawn.hear() for _ in range(5)} == {(number, TAKEN) for number in range(5)}
    assert rspawn.end() == 0
    assert [heard.count(b"RCPT") for heard in relayed.heard] == [1] * 5


def test_a_shared_worker_that_is_killed_defers_all_its_recipients(queue: Path) -> None:
    (queue / "control/recipientsremote").write_text("200\n")
    rspawn = Rspawn(QMAILREMOTE=program(queue, "kill -9 $$"))
    asked = b"".join(b"%c0/23\0joe@x\0u%d@y\0" % (number, number) for number in range(120))
    for _ in range(2):  # and what they had open is closed
        os.write(rspawn.requests, asked)
        crashed = b"Zqmail-remote crashed.\n"
        assert {rspawn.hear() for _ in range(120)} == {(number, crashed) for number in range(120)}
        assert not [file for file in psutil.Process(rspawn.process.pid).open_files() if file.path.endswith("/23")]
    assert rspawn.end() == 0


def test_long_reports_of_many_recipients_are_all_heard(queue: Path) -> None:
    (queue / "control/recipientsremote").write_text("120\n")
    long = "printf s; head -c 5000 /dev/zero | tr '\\0' x; printf '\\0'"
    script = f"for i in $(seq 100); do {long}; done; printf 'Dup\\0'"
    rspawn = Rspawn(QMAILREMOTE=program(queue, script))
    os.write(rspawn.requests, b"".join(b"%c0/23\0joe@x\0u%d@y\0" % (number, number) for number in range(100)))
    assert {rspawn.hear() for _ in range(100)} == {(number, b"Z" + b"x" * 5000 + b"up") for number in range(100)}
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
