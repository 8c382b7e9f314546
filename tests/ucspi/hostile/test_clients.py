"""Clients of tcpserver that reset, stall, flood and never read, while others want to be served."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from siege import FOREIGN, OWN, Served, good, reset, unharmed
from tcp import Server, rest
from until import until

LINE = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"

both = pytest.mark.parametrize("served", [OWN, FOREIGN], ids=["own", "foreign"])


def serving(served: Served, *options: str) -> Server:
    return Server(*served.program, options=("-vRHl0", *options), env=served.env)


@contextmanager
def behind_proxy(served: Served) -> Iterator[Server]:
    """A server behind a proxy, which is to be as before at the end of the block."""
    server = serving(served, "--proxy", "127.0.0.1", "-c20", "-b400")
    with server, unharmed(server, served, lambda: server.ask(say=LINE + served.said) == served.answer):
        yield server


@both
def test_a_flood_beyond_the_limit_waits_and_is_served(served: Served) -> None:
    with serving(served, "-c4", "-b300") as server, unharmed(server, served):
        with ThreadPoolExecutor(60) as crowd:
            assert all(crowd.map(lambda _: good(server, served), range(200)))
        assert "status: 4/4" in server.log()
        assert "status: 5/" not in server.log()


@both
def test_clients_that_reset_at_once_leave_nothing_behind(served: Served) -> None:
    with serving(served, "-c10", "-b400") as server, unharmed(server, served):
        for _ in range(300):
            reset(server.connect())


@both
def test_clients_that_reset_while_they_are_served_leave_nothing_behind(served: Served) -> None:
    with serving(served, "-c10", "-b400") as server, unharmed(server, served):
        for _ in range(100):
            client = server.connect()
            client.sendall(b"x" * 5000 + b"\r\n")
            client.recv(1)
            reset(client)


@both
def test_clients_that_send_a_byte_now_and_then_or_nothing_hinder_nobody(served: Served) -> None:
    with serving(served, "-c30", "-b400") as server, unharmed(server, served), ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(29)]
        for at in range(10):
            for client in slow[::2]:
                client.sendall(b"EHLO there\r\n"[at : at + 1])
            assert good(server, served)
        server.logged("status: 29/30")


@both
def test_clients_that_never_read_cost_no_memory(served: Served) -> None:
    with serving(served, "-c30", "-b400") as server, unharmed(server, served), ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(server.connect())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            stuff(client)
        assert good(server, served)


def stuff(client: socket.socket) -> None:
    """Send until there is no more room, and read nothing."""
    try:
        while client.send(b"x\r\n" * 20000):
            pass
    except OSError:
        pass


@both
def test_clients_that_close_their_half_are_answered_all_the_same(served: Served) -> None:
    with serving(served) as server, unharmed(server, served):
        for _ in range(20):
            with server.connect() as client:
                client.shutdown(socket.SHUT_WR)
                assert served.answer.startswith(rest(client))


# -- in front of it: the PROXY header ----------------------------------------------------------


@both
def test_proxies_that_reset_in_the_header_are_told_of_and_leave_nothing_behind(served: Served) -> None:
    with behind_proxy(served) as server:
        for size in range(len(LINE)):
            client = server.connect()
            client.sendall(LINE[:size])
            reset(client)
        server.logged("tcpserver: warning: dropping connection, no PROXY header from 127.0.0.1\n", len(LINE))


def test_what_is_no_header_is_told_of_and_leaves_nothing_behind() -> None:
    nonsense = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 99999\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 " + b"1" * 200_000,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 70_000,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\xff\xff\0\x0c" + bytes(12),
        bytes(range(256)),
    ]
    with behind_proxy(FOREIGN) as server:
        for number, header in enumerate(nonsense * 10, 1):
            assert server.ask(say=header) == b""
            server.logged("tcpserver: warning: dropping connection, no PROXY header from 127.0.0.1\n", number)
        assert server.log().count("no PROXY header") == number


def test_an_urgent_byte_in_the_header_is_no_way_around_it() -> None:
    with behind_proxy(FOREIGN) as server:
        with server.connect() as client:
            try:
                client.sendall(LINE[:10])
                client.send(b"!", socket.MSG_OOB)
                client.sendall(LINE[10:] + FOREIGN.said)
            except ConnectionError:  # it is dropped already
                pass
            assert rest(client) == b""
        server.logged("no PROXY header from 127.0.0.1\n")


@pytest.mark.long
def test_slow_headers_are_waited_for_together_and_others_are_served_meanwhile() -> None:
    with (
        serving(FOREIGN, "--proxy", "127.0.0.2", "-c30", "-b400") as server,
        unharmed(server, FOREIGN),
        ExitStack() as stack,
    ):
        slow = [stack.enter_context(server.connect(source="127.0.0.2")) for _ in range(20)]
        for at in range(15):
            for client in slow:
                client.sendall(LINE[at : at + 1])
            assert good(server, FOREIGN)
        server.logged("no PROXY header in time from 127.0.0.2\n", 20)
        assert {rest(client) for client in slow} == {b""}
        assert until(lambda: server.log().count("status: 1/30") >= 16)
