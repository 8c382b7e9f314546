"""Mail through a whole system, from SMTP to wherever it goes."""

from __future__ import annotations

import os
import smtplib
import subprocess

import pytest
from commands import BIN, environment
from instance import NOBODY, Instance
from sink import Sink
from until import until


def test_a_message_goes_from_smtp_to_a_maildir(mail: Instance) -> None:
    text = mail.send(mail.joe.address)
    lines = mail.joe.received(text).decode().splitlines()
    assert lines[:2] == ["Return-Path: <peer@far.example>", "Delivered-To: joe@mail.example"]
    assert lines[2].startswith("Received: (qmail ")
    assert lines[3] == "Received: from unknown (HELO client.example) (127.0.0.1)"
    assert lines[-1] == text


def test_a_message_goes_from_smtp_to_an_mbox(mail: Instance) -> None:
    mail.joe.write(".qmail-mbox", "./Mailbox\n")
    text = mail.send("joe-mbox@mail.example", text="From here on\n")
    mailbox = mail.joe.home / "Mailbox"
    until(lambda: mailbox.exists() and mailbox.read_text().endswith("\n\n"))
    lines = mailbox.read_text().splitlines()
    assert lines[0].startswith("From peer@far.example ")
    assert lines[-3:] == [text, ">From here on", ""]


def test_a_dot_qmail_file_forwards_to_another_user(mail: Instance) -> None:
    mail.joe.write(".qmail-forward", "&sue@mail.example\n")
    text = mail.send("joe-forward@mail.example")
    message = mail.sue.received(text)
    assert b"Delivered-To: sue@mail.example\n" in message
    assert b"Delivered-To: joe-forward@mail.example\n" in message
    assert not any(text.encode() in other for other in mail.joe.messages())


def test_mail_for_another_host_is_relayed_as_smtproutes_says(mail: Instance, sink: Sink) -> None:
    text = mail.send("bob@sink.example")
    message = sink.received(text)
    assert b"bob@sink.example" in message and b"peer@far.example" in message
    mail.wait_until_empty()


def test_one_message_goes_to_all_its_recipients(mail: Instance, sink: Sink) -> None:
    text = mail.send("joe@mail.example", "bob@sink.example", "sue@mail.example")
    mail.joe.received(text)
    mail.sue.received(text)
    sink.received(text)


# -- rules -----------------------------------------------------------------------------------


def test_a_denied_client_gets_no_greeting(mail: Instance) -> None:
    mail.compile_rules("127.0.0.6:deny")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        mail.smtp("127.0.0.6")
    mail.joe.received(mail.send("joe@mail.example"))


def test_a_rule_limits_the_size_of_messages(mail: Instance) -> None:
    mail.compile_rules('127.0.0.7:allow,DATABYTES="1000"')
    with pytest.raises(smtplib.SMTPDataError) as refused:
        mail.send("joe@mail.example", source="127.0.0.7", text="x" * 1000)
    assert refused.value.smtp_code == 552
    mail.joe.received(mail.send("joe@mail.example", source="127.0.0.7"))
    mail.joe.received(mail.send("joe@mail.example", text="x" * 1000))


# -- failures --------------------------------------------------------------------------------


def test_a_message_that_cannot_be_delivered_bounces_to_its_sender(mail: Instance) -> None:
    text = mail.send("nobody-there@mail.example", sender="sue@mail.example")
    bounce = mail.sue.received(text).decode()
    head, _, body = bounce.partition("\n\n")
    assert head.startswith("Return-Path: <>\n")
    assert "\nFrom: MAILER-DAEMON@mail.example\n" in head
    assert head.endswith("\nTo: sue@mail.example\nSubject: failure notice")
    paragraphs = body.split("\n\n")
    assert paragraphs[0].startswith("Hi. This is the qmail-send program at mail.example.\n")
    assert paragraphs[1] == "<nobody-there@mail.example>:\nSorry, no mailbox here by that name. (#5.1.1)"
    assert paragraphs[2] == "--- Below this line is a copy of the message."
    assert paragraphs[3].startswith("Return-Path: <sue@mail.example>\nReceived: (qmail ")
    assert bounce.endswith(f"\n\n{text}\n")
    mail.wait_until_empty()


def test_a_bounce_that_bounces_goes_to_the_postmaster(mail: Instance) -> None:
    text = mail.send("nobody-there@mail.example", sender="nobody-here@mail.example")
    message = mail.alias.received(text).decode()
    assert message.startswith("Return-Path: <#@[]>\nDelivered-To: postmaster@mail.example\n")
    assert "\nI tried to deliver a bounce message to this address, but the bounce bounced!\n" in message
    assert "\n--- Below this line is the original bounce.\n\nReturn-Path: <>\n" in message
    mail.wait_until_empty()


def test_mail_waits_for_a_host_that_is_down_and_alrm_tries_it_again(mail: Instance) -> None:
    late = Sink()
    mail.route("late.example", late.port)
    before = len(mail.log("qmail-send"))
    text = mail.send("bob@late.example")
    assert "CNAME" not in mail.logged("qmail-send", "deferral: ", before)
    assert mail.left()
    with late:
        mail.svc("-a", "qmail-send")
        late.received(text)
        mail.wait_until_empty()


# -- other ways in ---------------------------------------------------------------------------


def test_mail_is_submitted_by_qmail_queue_and_no_program_is_setuid(mail: Instance) -> None:
    user = NOBODY if os.geteuid() == 0 else None
    for number, uid in enumerate([mail.runner, user]):
        envelope = mail.scratch / f"envelope-{number}"
        envelope.write_bytes(b"Fmr@far.example\0Tjoe@mail.example\0\0")
        text = f"by qmail-queue {number}"
        with open(envelope, "rb") as addresses:
            done = subprocess.run(
                [BIN / "qmail-queue"],
                input=f"Subject: hi\n\n{text}\n".encode(),
                stdout=addresses,
                env=environment(mail.env),
                user=uid,
                cwd="/",
                check=False,
            )
        assert done.returncode == 0
        message = mail.joe.received(text)
        assert b"Return-Path: <mr@far.example>\n" in message
        who = os.geteuid() if uid is None else uid
        assert b" invoked by uid %d);" % who in message
    assert not (BIN / "qmail-queue").stat().st_mode & 0o6000
