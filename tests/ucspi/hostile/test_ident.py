"""Ident servers that answer nonsense, too much, too slowly, or never."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from peer import RESET, STALL, Peer, Step, Until
from siege import FOREIGN, SHAME, reset, unharmed
from tcp import Server

from ucspi.environ import End
from ucspi.ident import remote_user

CLIENT = "127.0.1.77"
ASKED = Until(b"\r\n")
USER = b"1,2:USERID:UNIX:"


@contextmanager
def ident(*script: Step, times: int = 1) -> Iterator[Peer]:
    """An ident server for the clients at `CLIENT`, which plays *script* for so many of them."""
    with Peer(*[[ASKED, *script]] * times, host=CLIENT, port=113) as peer:
        yield peer


@pytest.mark.root
@pytest.mark.parametrize(
    ("said", "user", "shown"),
    [
        (USER + b"joe\ntcpserver: ok 1 0:192.0.2.1:25 :192.0.2.2::1\n", "joe", "joe"),
        (USER + b"joe\rtcpserver: ok 1\r\n", "joetcpserver:ok1", "joetcpserver?ok1"),
        (USER + b"joe\0\ntcpserver", "joe", "joe"),
        (USER + b"\x1b[2J%s:%n\x7f\xff\n", "\x1b[2J%s:%n\x7f\xff", "?[2J?s??n??"),
        (USER + b"x" * (1 << 22), "x" * 257, "x" * 100 + "..."),
        (b"\0" * (1 << 22), "", ""),
        (b":" * (1 << 22), ":" * 257, "?" * 100 + "..."),
        (b"\n" * 1000, "", ""),
    ],
    ids=["two lines", "cr", "nul", "control", "endless", "nuls", "colons", "empty lines"],
)
def test_an_answer_cannot_forge_a_line_or_a_variable(said: bytes, user: str, shown: str) -> None:
    with ident(said), Server("env", "-0", options=("-vHl0", "-t9")) as server:
        variables = server.ask(source=CLIENT).decode("latin-1").split("\0")
        log = server.logged("status: 0/40", 2)
    assert f"TCPREMOTEINFO={user}" in variables
    assert f"TCP6REMOTEINFO={user}" in variables
    assert [line.split()[1] for line in log.splitlines()] == ["status:", "status:", "pid", "ok", "end", "status:"]
    found = re.search(r"^tcpserver: ok \d+ 0:127.0.0.1:\d+ :127.0.1.77:(.*):\d+$", log, re.M)
    assert found
    assert found[1] == shown


@pytest.mark.root
@pytest.mark.parametrize("script", [[RESET], [USER, RESET], [USER + b"joe", STALL]], ids=str)
def test_no_answer_is_no_user_and_others_are_served_meanwhile(script: list[Step]) -> None:
    with (
        ident(*script),
        Server("sh", "-c", "echo ${TCPREMOTEINFO-none}; cat", options=("-vHl0", "-t1")) as server,
        server.connect(source=CLIENT) as client,
    ):
        assert server.ask(say=b"hello\n") == b"none\nhello\n"
        assert client.recv(99) == b"none\n"
        client.close()
        assert not SHAME.search(server.logged(" end ", 2))


@pytest.mark.root
def test_clients_that_reset_while_their_ident_server_is_asked_leave_nothing_behind() -> None:
    server = Server("cat", options=("-vHl0", "-t1", "-c20"))
    with server, unharmed(server, FOREIGN), ident(STALL, times=20):
        for _ in range(15):
            reset(server.connect(source=CLIENT))
        server.logged(" ok ", 16)


def test_a_byte_now_and_then_does_not_prolong_the_time(ident_drop: int) -> None:
    began = time.monotonic()
    assert remote_user(End("127.0.0.1", 25), End("127.0.0.1", 40000), 0.5, ident_drop) is None
    assert time.monotonic() - began < 10


@pytest.fixture
def ident_drop() -> Iterator[int]:
    """The port of an ident server that sends a byte again and again, for a long time."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client = listening.accept()[0]
            with client:
                while not over.wait(0.05):
                    try:
                        client.send(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listening.getsockname()[1])
        over.set()
        thread.join()
