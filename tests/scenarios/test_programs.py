"""The programs for .qmail files, as the system runs them: through the queue, as the user, with the user's rights."""

from __future__ import annotations

from instance import Instance
from until import until


def test_a_program_sends_mail_on(mail: Instance) -> None:
    mail.joe.write(".qmail-on", '|forward sue@"$HOST"\n')
    text = mail.send("joe-on@mail.example")
    message = mail.sue.received(text)
    assert message.count(b"Delivered-To: ") == 2 and b"Delivered-To: joe-on@mail.example\n" in message
    mail.wait_until_empty()


def test_what_is_urgent_goes_elsewhere_and_nowhere_else(mail: Instance) -> None:
    mail.joe.write(".qmail-urgent", "|condredirect sue@mail.example grep -q '^Urgent'\n./Maildir/\n")
    urgent = mail.send("joe-urgent@mail.example", text="Urgent\n")
    assert b"Return-Path: <peer@far.example>\n" in mail.sue.received(urgent)
    usual = mail.send("joe-urgent@mail.example", text="no hurry\n")
    mail.joe.received(usual)
    assert not any(urgent.encode() in message for message in mail.joe.messages())
    mail.wait_until_empty()


def test_a_closed_address_says_so_to_who_writes(mail: Instance) -> None:
    mail.joe.write(".qmail-closed", "|bouncesaying 'gone fishing' except grep -q '^Worm'\n./Maildir/\n")
    mail.send("joe-closed@mail.example", sender="sue@mail.example")
    assert b"joe-closed@mail.example" in mail.sue.received("gone fishing")
    mail.joe.received(mail.send("joe-closed@mail.example", text="Worm\n"))
    mail.wait_until_empty()


def test_a_program_gets_an_mboxs_lines(mail: Instance) -> None:
    kept = mail.joe.home / "kept"
    mail.joe.write(".qmail-lines", f"|preline sh -c 'cat >{kept}.tmp && mv {kept}.tmp {kept}'\n")
    mail.send("joe-lines@mail.example")
    until(kept.exists, what="the program has the message")
    lines = kept.read_text().splitlines()
    assert lines[0].startswith("From peer@far.example ")
    assert lines[1:3] == ["Return-Path: <peer@far.example>", "Delivered-To: joe-lines@mail.example"]
    mail.wait_until_empty()


def test_a_delivery_notice_comes_back(mail: Instance) -> None:
    mail.joe.write(".qmail-notice", "|qreceipt joe-notice@mail.example\n./Maildir/\n")
    head = "Notice-Requested-Upon-Delivery-To: joe-notice@mail.example\n"
    mail.run("qmail-inject", "-fsue@mail.example", "joe-notice@mail.example", input=head.encode() + b"\nhello\n")
    assert b"joe-notice@mail.example" in mail.sue.received("success notice")
    mail.wait_until_empty()
