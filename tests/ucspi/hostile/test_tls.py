"""Clients of tcpserver --tls whose hello is none, never ends, or comes from a program that means harm."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from authority import Authority
from commands import BIN
from siege import FOREIGN, OWN, Served, reset, unharmed
from tcp import Server, rest
from tlsclient import everything, speak

UNABLE = "tcpserver: warning: dropping connection, unable to accept TLS: "


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> dict[str, str | None]:
    authority.certify("mail.example.org", authority.folder / "mail.example.org.pem")
    certificate = str(authority.folder / "mail.example.org.pem")
    return {"CERTFILE": certificate, "CAFILE": str(authority.file), "CERTDIR": str(authority.folder)}


def good(server: Server, served: Served, authority: Authority) -> bool:
    with speak(server, authority) as client:
        client.sendall(served.said)
        if served is FOREIGN:
            return client.recv(100) == served.answer
        return everything(client) == served.answer


@contextmanager
def besieged(
    files: dict[str, str | None], authority: Authority, served: Served = FOREIGN, sslserver: bool = False
) -> Iterator[Server]:
    """A server that is to be as before at the end of the block."""
    command, options = (BIN / "sslserver", ["-T1"]) if sslserver else (BIN / "tcpserver", ["--tls"])
    options = ["-vRHl0", "-c20", "-b400", *options]
    server = Server(*served.program, options=options, env={**served.env, **files}, tcpserver=command)
    with server, unharmed(server, served, lambda: good(server, served, authority)):
        yield server


def hello(name: str = "mail.example.org") -> bytes:
    """What a client says first."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(coming, going, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return going.read()


HELLO = hello()
NONSENSE = {
    "http": b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n",
    "smtp": b"EHLO there\r\n",
    "random": random.Random(1).randbytes(2000),
    "nothing but zeros": bytes(2000),
    "giant record": b"\x16\x03\x01\xff\xff" + b"\x01" * 65535,
    "giant hello": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"\x01" * 16380,
    "empty records": b"\x16\x03\x01\x00\x00" * 1000,
    "alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "data first": b"\x17\x03\x03\x00\x05hello",
    "version 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
    "old version": HELLO[:9] + b"\x03\x00" + HELLO[11:].replace(b"\x03\x04\x03\x03", b"\x03\x00\x03\x00"),
}


@pytest.mark.parametrize("served", [OWN, FOREIGN], ids=["own", "foreign"])
def test_a_hello_that_is_none_is_told_of_and_leaves_nothing_behind(
    served: Served, files: dict[str, str | None], authority: Authority
) -> None:
    with besieged(files, authority, served) as server:
        for number, said in enumerate(NONSENSE.values(), 1):
            server.ask(say=said)
            server.logged(UNABLE, number)
        assert server.log().count(UNABLE) == len(NONSENSE)


@pytest.mark.parametrize("served", [OWN, FOREIGN], ids=["own", "foreign"])
def test_clients_that_reset_in_the_hello_leave_nothing_behind(
    served: Served, files: dict[str, str | None], authority: Authority
) -> None:
    with besieged(files, authority, served) as server:
        for size in range(0, len(HELLO), 10):
            client = server.connect()
            client.sendall(HELLO[:size])
            reset(client)
            assert not size or server.ask(say=HELLO[:size]) == b""
        for _ in range(30):
            client = server.connect()
            client.sendall(HELLO)
            client.recv(1)
            reset(client)


def test_clients_that_are_slow_with_their_hello_are_given_up_and_hinder_nobody(
    files: dict[str, str | None], authority: Authority
) -> None:
    with besieged(files, authority, sslserver=True) as server, ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(10)]
        for at in range(10):
            for client in slow:
                client.sendall(HELLO[at : at + 1])
            assert at % 5 or good(server, FOREIGN, authority)
        server.logged("sslserver: warning: dropping connection, unable to accept TLS: timed out\n", 10)
        assert {rest(client) for client in slow} == {b""}


def test_clients_that_never_read_cost_no_memory(files: dict[str, str | None], authority: Authority) -> None:
    with besieged(files, authority) as server, ExitStack() as stack:
        for _ in range(5):
            client = speak(server, authority)
            client.setblocking(False)
            stack.callback(reset, client)
            with pytest.raises(ssl.SSLWantWriteError):
                while True:
                    client.send(b"x" * 16384)


NAMES = [
    b"../../etc/passwd",
    b"." * 40,
    b"a\nb: c%d\r\n%s\x1b[0m",
    b"*.example.org",
    b"mail.example.org\xff",
    b"\xc3\xa4.example.org",
]


def test_strange_names_in_hellos_are_no_trouble(files: dict[str, str | None], authority: Authority) -> None:
    with besieged(files, authority) as server:
        for name in NAMES * 3:
            ordinary = "n" * len(name)
            with server.connect() as client:
                client.sendall(hello(ordinary).replace(ordinary.encode(), name))
                client.recv(1)
        told = server.logged(UNABLE + "the name that the client asks for is not ASCII\n", 6)
        assert told.count(UNABLE) == 6
