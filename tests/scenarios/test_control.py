"""Whole systems that are told something by svc and by rules; and two of them at once."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess

import pytest
from commands import BIN
from instance import Instance
from sink import Sink
from until import until


def has(messages: list[bytes], text: str) -> bool:
    return any(text.encode() in message for message in messages)


def test_hup_reads_locals_again(mail: Instance, sink: Sink) -> None:
    mail.route("new.example", sink.port)
    sink.received(mail.send("joe@new.example"))
    mail.control("locals", "mail.example\nhack.example\nnew.example")
    mail.svc("-h", "qmail-send")

    def stays_here() -> bool:
        text = mail.send("joe@new.example")
        until(lambda: has(mail.joe.messages(), text) or has(sink.messages(), text))
        return has(mail.joe.messages(), text)

    until(stays_here)


def test_term_lets_a_running_delivery_end_and_starts_no_other(mail: Instance) -> None:
    gate = mail.joe.home / "gate"
    os.mkfifo(gate)
    mail.joe.own(gate)
    mail.joe.write(".qmail-wait", "|echo >started; read line <gate; echo $line >ended\n")
    running, before = mail.pid("qmail-send"), len(mail.log("qmail-send"))
    mail.send("joe-wait@mail.example")
    until((mail.joe.home / "started").exists)
    os.kill(running, signal.SIGTERM)  # and not `svc -t`, which returns before supervise has done it
    text = mail.send("joe@mail.example")
    assert mail.pid("qmail-send") == running
    assert not has(mail.joe.messages(), text)
    gate.write_text("go\n")
    mail.joe.received(text)  # which somebody new delivers
    assert (mail.joe.home / "ended").read_text() == "go\n"
    assert mail.pid("qmail-send") != running
    lines = mail.log("qmail-send")[before:].splitlines()
    ends = [at for at, line in enumerate(lines) if ": success: did_0+0+1/" in line]
    assert any("exitasap" in line for line in lines)
    assert len(ends) == 1 and ends[0] < next(at for at, line in enumerate(lines) if "status: exiting" in line)
    mail.wait_until_empty()


def test_mail_comes_in_while_qmail_send_is_down_and_is_delivered_when_it_is_up(mail: Instance) -> None:
    mail.svc("-d", "qmail-send")
    until(lambda: not mail.pid("qmail-send"))
    texts = [mail.send("joe@mail.example") for _ in range(5)]
    assert sum(name.startswith("todo/") for name in mail.left()) == 5
    assert not any(has(mail.joe.messages(), text) for text in texts)
    assert mail.run("qmail-qstat").out == b"messages in queue: 5\nmessages in queue but not yet preprocessed: 5\n"
    mail.svc("-u", "qmail-send")
    for text in texts:
        mail.joe.received(text)
    mail.wait_until_empty()
    assert mail.run("qmail-qstat").out == b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n"


def test_no_mail_comes_in_while_qmail_smtpd_is_down(mail: Instance) -> None:
    mail.svc("-d", "qmail-smtpd")
    until(lambda: not mail.pid("qmail-smtpd"))
    with pytest.raises(OSError):
        mail.smtp()
    mail.svc("-u", "qmail-smtpd")
    mail.wait_for_smtp()
    mail.joe.received(mail.send("joe@mail.example"))


def test_without_submission_smtp_clients_are_told_to_come_again_where_nobody_else_may_queue(mail: Instance) -> None:
    mail.svc("-d", "qmail-queued")
    until(lambda: not mail.pid("qmail-queued"))
    if mail.rooted:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            mail.send("joe@mail.example")
        assert refused.value.smtp_code == 451
    else:  # qmail-queue may do it itself
        mail.joe.received(mail.send("joe@mail.example"))
    mail.svc("-u", "qmail-queued")
    mail.wait_for_submission()
    mail.joe.received(mail.send("joe@mail.example"))


def test_the_services_stop_with_svc_and_leave_nothing_running(own: Instance) -> None:
    own.joe.received(own.send("joe@mail.example"))
    own.stop()
    assert own.processes() == {}
    assert subprocess.run([BIN / "svok", own.service / "qmail-send"], check=False).returncode == 100
    own.start()
    own.wait_for_submission()
    own.wait_for_smtp()
    own.joe.received(own.send("joe@mail.example"))
