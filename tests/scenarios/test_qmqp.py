"""Machines without a queue hand their mail to one that has one, by QMQP; hosts that trust each other use QMTP."""

from __future__ import annotations

import pwd
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import BIN, Result, run
from instance import Instance
from siege import SHAME
from sink import Sink
from tcp import Server
from until import until

from mta.qmtp.netstrings import netstring


def serving(mail: Instance, program: str) -> Server:
    """A server of *mail*'s, as the user that it would have."""
    if mail.rooted:
        qmaild = pwd.getpwnam("qmaild")
        return Server(program, options=("-vRHl0", "-u", str(qmaild.pw_uid), "-g", str(qmaild.pw_gid)), env=mail.env)
    who = {} if mail.runner is None else {"user": mail.runner, "group": mail.runner, "extra_groups": []}
    return Server(program, env=mail.env, cwd=mail.scratch, **who)


class NullClient:
    """A machine that has programs, a few control files and no queue."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        (home / "control").mkdir()
        (home / "bin" / "qmail-queue").symlink_to(BIN / "qmail-qmqpc")
        (home / "control" / "me").write_text("client.example\n")

    def knows(self, servers: Sequence[Server]) -> None:
        """Name its servers."""
        lines = [f"127.0.0.1:{server.port}\n" for server in servers]
        (self.home / "control" / "qmqpservers").write_text("".join(lines))

    def inject(self, text: str, *recipients: str) -> Result:
        """Send a message as a user of it."""
        env: dict[str, str | None] = {"QMAILHOME": str(self.home), "QMAILQUEUE": None}
        return run("qmail-inject", "-fann@client.example", *recipients, input=f"\n{text}\n".encode(), env=env)


@pytest.fixture
def client(tmp_path: Path) -> NullClient:
    return NullClient(tmp_path / "client")


@pytest.fixture
def servers(mail: Instance) -> Iterator[list[Server]]:
    """Three servers of the same mail system, which stand for three hosts."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(mail, "qmail-qmqpd")) for _ in range(3)]


def test_a_null_client_s_mail_goes_through_the_first_server_that_is_there(
    mail: Instance, sink: Sink, client: NullClient, servers: list[Server]
) -> None:
    client.knows(servers)
    for number in range(len(servers)):
        text = f"a word from a null client, number {number}."
        assert client.inject(text, mail.joe.address, "bob@sink.example") == (0, b"", b"")
        message = mail.joe.received(text)
        assert message.startswith(b"Return-Path: <ann@client.example>\nDelivered-To: joe@mail.example\n")
        assert b"with QMQP; " in message
        assert b"bob@sink.example" in sink.received(text)
        assert [len(server.pids()) for server in servers] == [1] * (number + 1) + [0] * (2 - number)
        servers[number].process.terminate()
        servers[number].process.wait()
    code, _, err = client.inject("nobody is there.", mail.joe.address)
    assert (code, err) == (111, b"qmail-inject: fatal: connection to mail server rejected (#4.4.1)\n")
    assert not any(SHAME.search(server.log()) for server in servers)


def test_a_message_that_the_server_s_queue_does_not_take_is_not_accepted(
    own: Instance, client: NullClient, tmp_path: Path
) -> None:
    """And no other server gets it: whoever was connected to decides."""
    with serving(own, "qmail-qmqpd") as first, serving(own, "qmail-qmqpd") as second:
        client.knows([first, second])
        own.svc("-d", "qmail-queued")
        until(lambda: not own.pid("qmail-queued"))
        (own.home / "queue").rename(own.home / "away")
        assert client.inject("too early.", own.joe.address).code == 111
        assert len(first.pids()) + len(second.pids()) == 1
        (own.home / "away").rename(own.home / "queue")
        own.svc("-u", "qmail-queued")
        own.wait_for_submission()
        assert client.inject("in time.", own.joe.address).code == 0
        own.joe.received("in time.")
        assert not any(b"too early." in message for message in own.joe.messages())


def test_a_host_sends_many_messages_by_qmtp_before_it_hears_an_answer(mail: Instance) -> None:
    count = 20
    recipients = netstring(netstring(b"joe@mail.example") + netstring(b"bob@else.where"))
    texts = [f"message {number} of {count} by QMTP." for number in range(count)]
    packages = [
        netstring(b"\r\r\n%s\r\n" % text.encode()) + netstring(b"ann@far.example") + recipients for text in texts
    ]
    with serving(mail, "qmail-qmtpd") as server:
        answers = server.ask(say=b"".join(packages))
        assert (answers.count(b":Kok "), answers.count(b":Dsorry, that domain")) == (count, count)
        for text in texts:
            assert mail.joe.received(text).count(b"\r") == 0
        assert not SHAME.search(server.log())
