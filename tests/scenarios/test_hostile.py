"""Clients that send what nobody should, or nothing at all, while others want to be served."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from instance import Instance
from processes import peak
from until import until

MIB = 1 << 20


@contextmanager
def client_of(mail: Instance, *commands: str) -> Iterator[socket.socket]:
    """A client that has said these *commands*, and has read the answers."""
    with socket.create_connection(("127.0.0.1", mail.port), 30) as client:
        answer(client)
        for command in commands:
            client.sendall(command.encode() + b"\r\n")
            answer(client)
        yield client


def answer(client: socket.socket, lines: int = 1) -> bytes:
    """So many lines that the server says; fewer only at the end."""
    said = b""
    while said.count(b"\n") < lines and (data := client.recv(65536)):
        said += data
    return said


BEGIN = "MAIL FROM:<peer@far.example>", "RCPT TO:<joe@mail.example>"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"x" * 10 * MIB, b"502 unimplemented (#5.5.1)\r\n"),
        (b"RCPT TO:<" + b"x" * 10 * MIB + b">", b"555 syntax error (#5.5.4)\r\n"),
        (b"MAIL FROM:<" + b"x" * 10 * MIB + b">", b"555 syntax error (#5.5.4)\r\n"),
        (b"HELO " + b"x" * 10 * MIB, b"250 mail.example\r\n"),
        (b"\0" * 10 * MIB, b"502 unimplemented (#5.5.1)\r\n"),
    ],
    ids=["unknown", "rcpt", "mail", "helo", "nul"],
)
def test_a_line_of_ten_megabytes_gets_one_reply_and_no_memory(mail: Instance, line: bytes, reply: bytes) -> None:
    with client_of(mail, *BEGIN) as client:
        server = mail.server_of(client)
        before = peak(server)
        client.sendall(line + b"\r\n")
        assert answer(client) == reply
        assert peak(server) - before < 2 * MIB
        client.sendall(b"QUIT\r\n")
        assert answer(client) == b"221 mail.example\r\n"


def test_a_nul_ends_a_command_and_belongs_to_a_message(mail: Instance) -> None:
    with client_of(mail, *BEGIN, "DATA") as client:
        client.sendall(b"Subject: nul\r\n\r\nbefore\0after\r\n.\r\nNOOP\0nonsense\r\n")
        assert [line[:3] for line in answer(client, 2).splitlines()] == [b"250", b"250"]
    assert b"\n\nbefore\0after\n" in mail.joe.received("before\0after")


def test_a_bare_line_feed_ends_the_session_and_nothing_is_queued(mail: Instance) -> None:
    mail.wait_until_empty()
    with client_of(mail, *BEGIN, "DATA") as client:
        client.sendall(b"Subject: smuggled\r\n\r\none\n.\nMAIL FROM:<>\r\n.\r\n")
        assert answer(client, 9) == b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"
    assert mail.left() == []
    assert not any(b"smuggled" in message for message in mail.joe.messages())


def test_a_message_may_have_100000_recipients(own: Instance) -> None:
    own.svc("-d", "qmail-send")  # we do not want to wait for so many deliveries
    until(lambda: not own.pid("qmail-send"))
    with client_of(own, BEGIN[0]) as client:
        server = own.server_of(client)
        before = peak(server)
        for _ in range(100):
            client.sendall(b"".join(b"RCPT TO:<joe-%06d@mail.example>\r\n" % number for number in range(1000)))
            assert answer(client, 1000) == b"250 ok\r\n" * 1000
        client.sendall(b"DATA\r\n")
        assert answer(client)[:3] == b"354"
        client.sendall(b"Subject: to all\r\n\r\nhello\r\n.\r\n")
        assert answer(client)[:3] == b"250"
        assert peak(server) - before < 32 * MIB
    (todo,) = (own.queue / "todo").iterdir()
    assert todo.read_bytes().count(b"\0Tjoe-") == 100_000


@pytest.mark.long
def test_recipients_are_refused_before_memory_runs_out(mail: Instance) -> None:
    with client_of(mail, BEGIN[0]) as client:
        server = mail.server_of(client)
        before = peak(server)
        batch = b"RCPT TO:<joe-%s@mail.example>\r\n" % (b"x" * 800) * 100
        replies = b""
        while b"452" not in replies:
            client.sendall(batch)
            replies = answer(client, 100)
            assert peak(server) - before < 64 * MIB
        assert replies.splitlines()[-1] == b"452 too many recipients (#4.5.3)"
        client.sendall(b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<joe@mail.example>\r\n")
        assert answer(client, 3) == b"250 flushed\r\n250 ok\r\n250 ok\r\n"


@pytest.mark.parametrize("stage", ["silent", "half-line", "half-message", "half-large-message"])
def test_clients_that_stall_do_not_keep_others_waiting(mail: Instance, stage: str) -> None:
    count = 80
    text = {"silent": b"", "half-line": b"MAIL FR", "half-message": b"half\r\n"}.get(stage, b"half\r\n" * 60_000)
    with ExitStack() as stack:
        for _ in range(count):
            commands = [*BEGIN, "DATA"] if "message" in stage else []
            client = stack.enter_context(client_of(mail, *commands))
            client.sendall(text)
        for _ in range(5):
            mail.joe.received(mail.send("joe@mail.example"))
    mail.joe.received(mail.send("joe@mail.example"))
    mail.wait_until_empty()


def test_one_client_more_than_there_is_room_for_waits_until_another_leaves(mail: Instance) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(client_of(mail)) for _ in range(100)]
        with socket.create_connection(("127.0.0.1", mail.port), 0.2) as one_more:
            with pytest.raises(TimeoutError):
                one_more.recv(100)
            one_more.settimeout(20)
            clients[0].close()
            assert answer(one_more) == b"220 mail.example ESMTP\r\n"
