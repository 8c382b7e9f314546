"""The PROXY protocol: its headers, and tcpserver behind a proxy."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tcp import Server, rest
from until import until

from ucspi.tcp.proxy import LONGEST, SIGNATURE, parse

LINE = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"
LINE6 = b"PROXY TCP6 2001:db8::7 2001:db8::8 1234 25\r\n"
BINARY = SIGNATURE + struct.pack("!BBH4s4sHH", 0x21, 0x11, 12, bytes([192, 0, 2, 7]), bytes([192, 0, 2, 8]), 1234, 25)


def binary(command: int = 0x21, family: int = 0x11, body: bytes = BINARY[16:], more: int = 0) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) + more) + body


@pytest.mark.parametrize(
    ("header", "remote", "local"),
    [
        (LINE, ("192.0.2.7", 1234), ("192.0.2.8", 25)),
        (LINE6, ("2001:db8::7", 1234), ("2001:db8::8", 25)),
        (BINARY, ("192.0.2.7", 1234), ("192.0.2.8", 25)),
        (
            binary(family=0x21, body=bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack("!HH", 1, 65535)),
            ("::1", 1),
            ("::2", 65535),
        ),
        (binary(body=BINARY[16:] + b"\x01\0\3abc"), ("192.0.2.7", 1234), ("192.0.2.8", 25)),
    ],
)
def test_a_header_tells_both_ends(header: bytes, remote: tuple[str, int], local: tuple[str, int]) -> None:
    found = parse(header + b"EHLO there\r\n")
    assert found and found.remote and found.local
    assert found.size == len(header)
    assert ((found.remote.ip, found.remote.port), (found.local.ip, found.local.port)) == (remote, local)
    assert not any(parse(header[:size]) for size in range(len(header)))


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN what ever 1 2\r\n", binary(0x20), binary(0x20, 0, b""), binary(family=0)],
)
def test_a_header_may_tell_nothing(header: bytes) -> None:
    found = parse(header)
    assert found
    assert (found.size, found.remote, found.local) == (len(header), None, None)


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO there\r\n",
        b"PROXY TCP5 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3\r\n",
        b"PROXY TCP4 192.0.2.7  192.0.2.8 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 -1 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 \xff\r\n",
        b"PROXY TCP4 192.0.2.7\0 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 96,
        binary(0x31),
        binary(0x22),
        binary(body=b"short"),
        binary(more=LONGEST),
    ],
)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError):
        parse(header)


@given(
    st.one_of(
        st.binary(max_size=200), st.binary(max_size=120).map(LINE[:6].__add__), st.binary().map(BINARY[:12].__add__)
    )
)
@example(b"")
@example(LINE[:-1] + b"x\r\n")
def test_any_bytes_are_a_header_or_refused_or_too_few(data: bytes) -> None:
    try:
        found = parse(data)
    except ValueError:
        return
    assert len(data) < LONGEST if found is None else found.size <= len(data)


def behind_proxy(*more: str, program: Sequence[str] = ("sh", "-c", "env; cat")) -> Server:
    return Server(*program, options=["-vRHl0", "--proxy", "127.0.0.1,127.0.1.0/24", *more])


@pytest.mark.parametrize("header", [LINE, BINARY])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_client_is_whom_the_proxy_names(header: bytes, size: int) -> None:
    with behind_proxy() as server, server.connect() as client:
        sent = header + b"hello\n"
        for at in range(0, len(sent), size):
            client.sendall(sent[at : at + size])
        client.shutdown(socket.SHUT_WR)
        answer = rest(client).decode()
        assert "TCPREMOTEIP=192.0.2.7\n" in answer
        assert "TCPREMOTEPORT=1234\n" in answer
        assert "TCPLOCALIP=192.0.2.8\n" in answer
        assert "TCPLOCALPORT=25\n" in answer
        assert answer.endswith("hello\n")
        assert " from 192.0.2.7\n" in server.logged("status: 0/40", 2)


def test_rules_and_limits_are_for_the_client(tmp_path: object) -> None:
    with behind_proxy("-C1", program=["cat"]) as server, server.connect() as first, server.connect() as second:
        first.sendall(LINE)
        server.logged("tcpserver: ok ")
        second.sendall(LINE)
        assert rest(second) == b""
        assert "dropping connection, limit of 1 for 192.0.2.7 reached" in server.log()
        with server.connect() as third:
            third.sendall(LINE.replace(b".7", b".9") + b"other\n")
            assert third.recv(100) == b"other\n"


def test_a_header_from_anybody_else_is_the_programs() -> None:
    with behind_proxy() as server:
        answer = server.ask(source="127.0.0.2", say=LINE).decode()
        assert "TCPREMOTEIP=127.0.0.2\n" in answer
        assert answer.endswith(LINE.decode())


def test_a_proxy_that_speaks_for_itself_is_the_client() -> None:
    with behind_proxy() as server:
        assert "TCPREMOTEIP=127.0.0.1\n" in server.ask(say=b"PROXY UNKNOWN\r\n").decode()


@pytest.mark.parametrize("said", [b"EHLO\r\n", LINE[:20], b""])
def test_a_proxy_without_a_header_is_dropped(said: bytes) -> None:
    with behind_proxy() as server, server.connect() as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b""
        server.logged("tcpserver: warning: dropping connection, no PROXY header from 127.0.0.1\n")


def test_a_proxy_that_says_nothing_is_given_up_and_hinders_nobody() -> None:
    with behind_proxy("-c2") as server, server.connect() as silent, server.connect() as slow:
        slow.sendall(LINE[:9])
        server.logged("no PROXY header in time from 127.0.0.1", 2)
        assert (rest(silent), rest(slow)) == (b"", b"")
        assert "TCPREMOTEIP=192.0.2.7\n" in server.ask(say=LINE).decode()


def test_a_client_is_one_whatever_the_proxy_calls_it() -> None:
    with behind_proxy("-C1", program=["cat"]) as server, server.connect() as first, server.connect() as second:
        first.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello\n")
        assert first.recv(100) == b"hello\n"
        second.sendall(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\nhello\n")
        assert rest(second) == b""
        server.logged("limit of 1 for ::ffff:192.0.2.1 reached")


def test_a_drain_waits_for_proxies_that_have_not_spoken_yet() -> None:
    with behind_proxy("--drain", "60", program=["cat"]) as server, server.connect() as client:
        until(lambda: server.process.poll() is None and sockets_of(server.pid) >= 2)
        server.process.terminate()
        client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello\n")
        assert client.recv(100) == b"hello\n"
        client.close()
        assert server.process.wait(20) == 0


def sockets_of(pid: int) -> int:
    """How many TCP sockets a process has, the one that listens among them."""
    return len(psutil.Process(pid).net_connections("tcp"))


@pytest.mark.parametrize("proxies", ["127.0.0.9/8", " 192.0.2.1 , 127.0.0.1 ", "::ffff:127.0.0.1"])
def test_proxies_may_be_written_in_any_form(proxies: str) -> None:
    with Server("cat", options=["-vRHl0", "--proxy", proxies]) as server, server.connect() as client:
        client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello\n")
        assert client.recv(100) == b"hello\n"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"--proxy needs addresses or networks and not .*nonsense"):
        Server("true", options=["--proxy", "127.0.0.1,nonsense"])
