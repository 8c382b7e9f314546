"""The set-ups that a site begins with, each by its usual name, through whole systems."""

from __future__ import annotations

import itertools
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from instance import Instance, entry
from sink import Sink
from tcp import Server
from until import until

NUMBERS = itertools.count(1)


@pytest.fixture
def hub() -> Iterator[Instance]:
    """The host that does the work for another one."""
    controls = {"locals": "mail.example\nclient.example", "rcpthosts": "mail.example\nclient.example"}
    with Instance(False, controls=controls) as hub:
        yield hub


def inject(mail: Instance, *recipients: str, header: str = "") -> str:
    """Send a message as joe, who is logged in on *mail*; a text in it that is in no other."""
    token = f"injected message {next(NUMBERS)}."
    text = f"{header}To: {', '.join(recipients)}\nSubject: test\n\n{token}\n"
    mail.run("env", "QMAILUSER=joe", "qmail-inject", input=text.encode())
    return token


# -- on one host -------------------------------------------------------------------------------


def test_local_to_local(mail: Instance) -> None:
    message = mail.sue.received(inject(mail, "sue@mail.example"))
    assert message.startswith(b"Return-Path: <joe@mail.example>\nDelivered-To: sue@mail.example\nReceived: (qmail ")
    assert b"\nFrom: joe@mail.example\n" in message
    assert b"invoked by uid" in message


def test_extension(mail: Instance) -> None:
    mail.joe.write(".qmail-list-default", "./Maildir/\n")
    text = mail.send("joe-list-2026@mail.example")
    assert b"Delivered-To: joe-list-2026@mail.example\n" in mail.joe.received(text)


def test_alias(mail: Instance) -> None:
    mail.alias.write(".qmail-staff", "&joe@mail.example\n&sue@mail.example\n")
    text = mail.send("staff@mail.example")
    for box in mail.joe, mail.sue:
        assert b"Delivered-To: staff@mail.example\n" in box.received(text)


def test_virtual_domain(mail: Instance) -> None:
    mail.joe.write(".qmail-virtual-default", "./Maildir/\n")
    text = mail.send("anybody@virtual.example")
    assert b"Delivered-To: joe-virtual-anybody@virtual.example\n" in mail.joe.received(text)


def test_virtual_domain_with_addresses_of_several_users() -> None:
    """One address of a domain is sue's, another is not virtual at all, the rest is joe's."""
    domains = "boss@virtual.example:sue\nroot@virtual.example:\nvirtual.example:joe-virtual\n.virtual.example:joe-below"
    controls = {"virtualdomains": domains, "rcpthosts": "mail.example\nvirtual.example\n.virtual.example"}
    with Sink() as sink, Instance(False, controls=controls) as mail:
        mail.route("virtual.example", sink.port)
        for name in ("virtual", "below"):
            mail.joe.write(f".qmail-{name}-default", "./Maildir/\n")
        mail.sue.write(".qmail-boss", "./Maildir/\n")
        assert b"Delivered-To: sue-boss@virtual.example\n" in mail.sue.received(mail.send("boss@virtual.example"))
        for address, delivered in (
            ("bob@virtual.example", b"joe-virtual-bob@virtual.example"),
            ("bob@deep.virtual.example", b"joe-below-bob@deep.virtual.example"),
        ):
            assert b"Delivered-To: %s\n" % delivered in mail.joe.received(mail.send(address))
        sink.received(mail.send("root@virtual.example"))


def test_percent_hack(mail: Instance) -> None:
    text = mail.send("sue%mail.example@hack.example")
    assert b"Delivered-To: sue@mail.example\n" in mail.sue.received(text)


def test_address_assignment(own: Instance) -> None:
    """ftp and all of ftp-... belong to joe, by users/assign, whatever the password file says."""
    joe = entry(own.joe)
    assign = own.home / "users/assign"
    own.write(assign, f"=ftp:{joe}:-:ftp:\n+ftp-:{joe}:-:ftp-:\n{assign.read_text()}")
    own.run("qmail-newu")
    own.joe.write(".qmail-ftp", "./Maildir/\n")
    own.joe.write(".qmail-ftp-default", "|test $DEFAULT = bugs\n./Maildir/\n")
    assert b"Delivered-To: ftp@mail.example\n" in own.joe.received(own.send("ftp@mail.example"))
    assert b"Delivered-To: FTP-bugs@mail.example\n" in own.joe.received(own.send("FTP-bugs@mail.example"))


def test_vacation(mail: Instance) -> None:
    """joe keeps his mail, and who writes to him for the first time gets an answer; lists and bounces do not."""
    mail.joe.write(".vacation.msg", "Subject: away\n\nI am away until Monday.\n")
    mail.joe.write(".qmail", "./Maildir/\n| qmail-vacation .vacation.msg\n")
    try:
        for _ in range(2):
            mail.joe.received(mail.send("joe@mail.example", sender="sue@mail.example"))
        answer = mail.sue.received("I am away until Monday.")
        assert answer.startswith(b"Return-Path: <>\n") and b"\nSubject: away\n" in answer
        mail.joe.received(mail.send("joe@mail.example", sender="", text="bounce"))
        mail.wait_until_empty()
        assert sum(b"I am away until Monday." in message for message in mail.sue.messages()) == 1
    finally:
        (mail.joe.home / ".qmail").unlink()


def test_delivery_into_a_spool_of_mailboxes_by_a_program(mail: Instance) -> None:
    """As by a binmail that wants the From line in front, which preline gives it."""
    spool = mail.scratch / "spool"
    spool.mkdir(exist_ok=True, mode=0o1777)
    spool.chmod(0o1777)
    mail.joe.write(".qmail-spool", f"|preline sh -c 'cat >> {spool}/joe'\n")
    text = mail.send("joe-spool@mail.example")
    until(lambda: (spool / "joe").exists() and text in (spool / "joe").read_text())
    lines = (spool / "joe").read_text().splitlines()
    assert lines[0].startswith("From peer@far.example ")
    assert lines[1:3] == ["Return-Path: <peer@far.example>", "Delivered-To: joe-spool@mail.example"]


# -- and others --------------------------------------------------------------------------------


def test_local_to_remote(mail: Instance, sink: Sink) -> None:
    message = sink.received(inject(mail, "bob@sink.example"))
    assert b"\nFrom: joe@mail.example\n" in message
    assert b"X-Mail-Args: <joe@mail.example>" in message and b"<bob@sink.example>" in message
    mail.wait_until_empty()


def test_null_client(hub: Instance) -> None:
    """A host without any mail of its own: all goes to the hub, also what is for its own users."""
    controls = {
        "me": "null.example",
        "locals": "",
        "defaulthost": "client.example",
        "smtproutes": f":127.0.0.1:{hub.port}",
    }
    with Instance(False, controls=controls) as client:
        message = hub.sue.received(inject(client, "sue"))
        assert b"\nTo: sue@client.example\n" in message
        assert b"\nFrom: joe@client.example\n" in message
        client.wait_until_empty()
        assert client.sue.messages() == []


def test_mailhost(hub: Instance) -> None:
    """Users read their mail on the hub; theirs at each host is sent on there, and looks as if it came from there."""
    controls = {
        "locals": "local.example",
        "defaulthost": "mail.example",
        "smtproutes": f"mail.example:127.0.0.1:{hub.port}",
    }
    with Instance(False, controls={"me": "local.example", **controls}) as host:
        host.joe.write(".qmail", "&joe@mail.example\n")
        message = hub.joe.received(host.send("joe@local.example"))
        assert b"Delivered-To: joe@local.example\n" in message and b"Delivered-To: joe@mail.example\n" in message
        assert b"\nFrom: joe@mail.example\n" in hub.sue.received(inject(host, "sue"))


def test_gateway(hub: Instance) -> None:
    """Mail for a domain comes in here, and goes on to a host that the world cannot reach."""
    controls = {"me": "gate.example", "locals": "gate.example", "rcpthosts": "gate.example\nmail.example"}
    with Instance(False, controls={**controls, "smtproutes": f"mail.example:127.0.0.1:{hub.port}"}) as gate:
        message = hub.joe.received(gate.send("joe@mail.example"))
        assert b"  by gate.example with SMTP; " in message
        assert b"Delivered-To: joe@mail.example\n" in message
        gate.compile_rules("127.0.0.5:allow")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            gate.send("joe@elsewhere.example", source="127.0.0.5")


def test_host_masquerading(own: Instance, sink: Sink) -> None:
    """Mail from here shows the name of the domain, in header and envelope, and only there."""
    own.control("defaulthost", "big.example")
    header = "From: joe\nCc: sue, mary@there\n"
    message = sink.received(inject(own, "bob@sink.example", "sue@mail.example", header=header)).decode()
    assert "\nFrom: joe@big.example\n" in message
    assert "\nCc: sue@big.example, mary@there.mail.example\n" in message
    assert "X-Mail-Args: <joe@big.example>" in message
    assert b"Return-Path: <joe@big.example>\n" in own.sue.messages()[0]


def test_unauthorised_relaying(mail: Instance) -> None:
    mail.compile_rules("127.0.0.5:allow")
    mail.joe.received(mail.send("joe@mail.example", source="127.0.0.5"))
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        mail.send("bob@sink.example", source="127.0.0.5")
    reply = (553, b"sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)")
    assert refused.value.recipients == {"bob@sink.example": reply}


def test_authorised_relaying(mail: Instance, sink: Sink) -> None:
    """A rule allows it from the next connection on, without a restart."""
    server = mail.pid("qmail-smtpd")
    mail.compile_rules('127.0.0.5:allow,RELAYCLIENT=""')
    sink.received(mail.send("bob@sink.example", source="127.0.0.5"))
    assert mail.pid("qmail-smtpd") == server


def test_badmailfrom(mail: Instance) -> None:
    mail.control("badmailfrom", "spammer@far.example\n@spam.example")
    try:
        for sender in ("spammer@far.example", "anybody@spam.example", "ANYBODY@SPAM.EXAMPLE"):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                mail.send("joe@mail.example", sender=sender)
            reply = (553, b"sorry, your envelope sender is in my badmailfrom list (#5.7.1)")
            assert refused.value.recipients == {"joe@mail.example": reply}
        mail.joe.received(mail.send("joe@mail.example", sender="peer@far.example"))
    finally:
        (mail.home / "control/badmailfrom").unlink()


def test_identity_by_tcpremotehost(mail: Instance) -> None:
    mail.compile_rules('127.0.0.8:allow,TCPREMOTEHOST="named.example"')
    message = mail.joe.received(mail.send("joe@mail.example", source="127.0.0.8"))
    assert b"Received: from named.example (HELO client.example) (127.0.0.8)\n" in message


def test_two_qmail_smtpd_switched_by_path(mail: Instance) -> None:
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


@pytest.mark.parametrize("other", [pytest.param(True, marks=pytest.mark.root, id="of-root"), pytest.param(False)])
def test_several_homes_on_one_machine(other: bool) -> None:
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
