"""Whole systems that are told something by svc and by rules; and two of them at once."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
from pathlib import Path

import pytest
from commands import BIN
from instance import Instance
from sink import Sink
from tcp import Server
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


# -- two of one kind ---------------------------------------------------------------------------


@pytest.mark.parametrize("other", [pytest.param(True, marks=pytest.mark.root, id="of-root"), pytest.param(False)])
def test_two_instances_run_side_by_side(other: bool) -> None:
    with Instance(False) as one, Instance(other, controls={"me": "two.example", "locals": "two.example"}) as two:
        one.route("two.example", two.port)
        two.route("mail.example", one.port)
        text = one.send("joe@two.example", sender="sue@mail.example")
        message = two.joe.received(text)
        assert b"  by two.example with SMTP; " in message and b"  by mail.example with SMTP; " in message
        one.sue.received(one.send("nobody-there@two.example", sender="sue@mail.example"))  # two's bounce
        assert one.joe.messages() == two.sue.messages() == []
        one.stop()
        assert two.alias.messages() == []
        two.joe.received(two.send("joe@two.example"))


def test_rules_choose_between_two_programs_by_path_where_a_program_looks_for_them(mail: Instance) -> None:
    """tcpserver itself looks for its program along its own PATH; what that runs, it looks for along the rule's."""
    other = mail.scratch / "other"
    other.mkdir(exist_ok=True)
    (other / "qmail-smtpd").write_text('#!/bin/sh\necho "421 closed"\n')
    (other / "qmail-smtpd").chmod(0o755)
    rules = mail.scratch / "rules.cdb"
    text = f'127.0.0.9:allow,PATH="{other}:/usr/bin:/bin"\n:allow\n'
    mail.run("tcprules", rules, mail.scratch / "rules.tmp", input=text.encode())
    assert greetings(mail, rules, "env", "qmail-smtpd") == [b"220 mail.example ESMTP\r\n", b"421 closed\n"]
    assert greetings(mail, rules, "qmail-smtpd") == [b"220 mail.example ESMTP\r\n"] * 2


def greetings(mail: Instance, rules: Path, *program: str) -> list[bytes]:
    """What *program* says to a client for whom there is no rule, and to one for whom there is."""
    with Server(*program, options=("-RHl0", "-x", str(rules)), env=mail.env, user=mail.runner) as server:
        return [server.ask(source=source, say=b"QUIT\r\n").split(b"221")[0] for source in ("127.0.0.1", "127.0.0.9")]


def test_the_services_stop_with_svc_and_leave_nothing_running(own: Instance) -> None:
    own.joe.received(own.send("joe@mail.example"))
    own.stop()
    assert own.processes() == {}
    assert subprocess.run([BIN / "svok", own.service / "qmail-send"], check=False).returncode == 100
    own.start()
    own.wait_for_submission()
    own.wait_for_smtp()
    own.joe.received(own.send("joe@mail.example"))
