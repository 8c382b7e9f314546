"""The side of qmail-lspawn and qmail-rspawn that qmail-send sees; qmail-lspawn stands for both."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from spawning import Spawning
from until import until


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pyqmail-"))  # and not tmp_path, which qmailp may not enter
    folder.chmod(0o755)
    (folder / "queue/mess/0").mkdir(parents=True)
    (folder / "queue/mess/0/1").write_text("Subject: hi\n\nhello\n")
    (folder / "bin").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "queue/mess/0/1", pwd.getpwnam("qmailq").pw_uid, -1)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def spawning(home: Path) -> Iterator[Spawning]:
    """A spawner whose deliveries do what bin/qmail-getpw does, which is a program of the site's own."""
    with Spawning("qmail-lspawn", "./Mailbox", env={"QMAILHOME": str(home)}) as running:
        assert running.limit() == 120
        yield running


def program(home: Path, script: str) -> None:
    (home / "bin/qmail-getpw").write_text(f"#!/bin/sh\n{script}\n")
    (home / "bin/qmail-getpw").chmod(0o755)


@pytest.mark.parametrize(
    ("number", "file", "recipient", "report"),
    [
        (120, b"0/1", b"joe@x", b"ZInternal error: delnum too big. (#4.3.5)\n"),
        (255, b"0/1", b"joe@x", b"ZInternal error: delnum too big. (#4.3.5)\n"),
        (0, b"0/x1", b"joe@x", b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
        (0, b"../1", b"joe@x", b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
        (0, b"/0/1", b"joe@x", b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
        (0, b"0/" + b"1" * 98, b"joe@x", b"DInternal error: messid too long. (#5.3.5)\n"),
        (0, b"", b"joe@x", b"DInternal error: messid too short. (#5.3.5)\n"),
        (0, b"0/1", b"joe", b"DSorry, address must include host name. (#5.1.3)\n"),
        (0, b"0/2", b"joe@x", b"Zqmail-spawn unable to open message. (#4.3.0)\n"),
        (0, b"0", b"joe@x", b"ZSorry, message has wrong type. (#4.3.5)\n"),
        (119, b"0/1", b"@x", b"K"),
    ],
)
def test_what_is_wrong_with_a_request_is_reported(
    number: int, file: bytes, recipient: bytes, report: bytes, spawning: Spawning
) -> None:
    spawning.ask(number, file, b"sue@x.y", recipient)
    assert spawning.report() == (number, report)


def test_a_fifo_in_the_queue_does_not_hang_it(home: Path, spawning: Spawning) -> None:
    os.mkfifo(home / "queue/mess/0/2")
    assert spawning.deliver(b"joe@x", file=b"0/2") == b"ZSorry, message has wrong type. (#4.3.5)\n"


@pytest.mark.root
def test_a_message_that_is_not_the_queues_own_is_refused(home: Path, spawning: Spawning) -> None:
    os.chown(home / "queue/mess/0/1", 0, 0)
    assert spawning.deliver(b"joe@x") == b"ZSorry, message has wrong owner. (#4.3.5)\n"


def test_requests_may_come_in_pieces_and_together(spawning: Spawning) -> None:
    request = b"\x050/1\0sue@x.y\0@x\0"
    for byte in request:
        spawning.say(bytes([byte]))
    assert spawning.report() == (5, b"K")
    spawning.say(b"".join(b"%c0/1\0\0@x\0" % number for number in range(120)) + b"\x00")
    assert [spawning.report() for _ in range(120)] == [(number, b"K") for number in range(120)]
    spawning.say(b"0/1\0\0@x\0")
    assert spawning.report() == (0, b"K")


def test_a_number_is_taken_until_its_report(home: Path, spawning: Spawning) -> None:
    program(home, f"while ! test -e {home}/go; do sleep 0.01; done; exit 111")
    spawning.ask(3, b"0/1", b"", b"joe@x")
    assert spawning.deliver(b"joe@x", number=3) == b"ZInternal error: delnum in use. (#4.3.5)\n"
    (home / "go").touch()
    assert spawning.report() == (3, b"Z")
    assert spawning.deliver(b"joe@x", number=3) == b"Z"


def test_deliveries_run_side_by_side_and_report_as_they_end(home: Path, spawning: Spawning) -> None:
    program(home, f'while ! test -e "{home}/go-$1"; do sleep 0.01; done; exit 111')
    for number in range(10):
        spawning.ask(number, b"0/1", b"", b"%d@x" % number)
    for number in (4, 9, 0, 1, 2, 3, 8, 7, 6, 5):
        (home / f"go-{number}").touch()
        assert spawning.report() == (number, b"Z")


def test_more_run_side_by_side_when_that_is_asked_for(home: Path) -> None:
    program(home, f"while ! test -e {home}/go; do sleep 0.1; done; ulimit -n; exit 100")
    limited = ("sh", "-c", "ulimit -Sn 200; exec qmail-lspawn ./Mailbox")
    with Spawning(*limited, env={"QMAILHOME": str(home), "SPAWNLIMIT": "1000"}) as spawning:
        assert spawning.limit() == 1000
        assert spawning.deliver(b"joe@x", number=1000) == b"ZInternal error: delnum too big. (#4.3.5)\n"
        numbers = [*range(70), 255, 256, *range(925, 1000)]
        for number in numbers:
            spawning.ask(number, b"0/1", b"", b"joe@x")
        assert spawning.deliver(b"joe@x", number=999) == b"ZInternal error: delnum in use. (#4.3.5)\n"
        (home / "go").touch()
        reports = dict(spawning.report() for _ in numbers)
        assert reports.keys() == {*numbers}
        assert {report[:1] for report in reports.values()} == {b"D"}


def test_what_runs_is_finished_when_qmail_send_is_gone(home: Path, spawning: Spawning) -> None:
    program(home, f"touch {home}/begun; while ! test -e {home}/go; do sleep 0.01; done; exit 100")
    home.chmod(0o777)
    spawning.ask(1, b"0/1", b"", b"joe@x")
    until((home / "begun").exists)
    assert spawning.process.stdin
    spawning.process.stdin.close()
    assert spawning.process.poll() is None
    (home / "go").touch()
    assert spawning.report() == (1, b"D")
    assert spawning.process.wait(20) == 0
    assert spawning.read() == b""


def test_deliveries_go_on_when_nobody_hears_the_reports(home: Path, spawning: Spawning) -> None:
    program(home, f'touch "{home}/done-$1"; exit 111')
    home.chmod(0o777)
    assert spawning.process.stdin and spawning.process.stdout
    with open(os.devnull, "rb") as deaf:
        os.dup2(deaf.fileno(), spawning.process.stdout.fileno())
    for number in range(3):
        spawning.ask(number, b"0/1", b"", b"%d@x" % number)
        until((home / f"done-{number}").exists)
    spawning.process.stdin.close()
    assert spawning.process.wait(20) == 0


def test_a_machine_without_descriptors_defers_and_recovers(home: Path) -> None:
    program(home, f"while ! test -e {home}/go; do sleep 0.01; done; exit 100")
    limited = ("softlimit", "-o", "20", "qmail-lspawn", "./Mailbox")
    with Spawning(*limited, env={"QMAILHOME": str(home)}) as spawning:
        assert spawning.limit() == 120
        for number in range(20):
            spawning.ask(number, b"0/1", b"", b"joe@x")
        texts = [spawning.report()[1]]  # the first that did not fit
        (home / "go").touch()
        texts += [spawning.report()[1] for _ in range(19)]
        assert b"D" in texts and all(text.startswith((b"Zqmail-spawn unable to ", b"D")) for text in texts)
        assert spawning.deliver(b"joe@x", number=100) == b"D"
