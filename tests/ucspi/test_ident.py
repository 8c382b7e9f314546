"""Asking the other machine who opened a connection: it may answer anything, or nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ucspi.environ import End
from ucspi.ident import LONGEST, remote_user, user_in

LOCAL, REMOTE = End("127.0.0.1", 25), End("127.0.0.1", 40000)


@contextmanager
def ident_server(*answer: bytes, stay: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """One that gives *answer* piece by piece to one client; its port and what it was asked."""
    asked: list[bytes] = []
    done = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            asked.append(client.recv(1000))
            for piece in answer:
                client.sendall(piece)
            if stay:
                done.wait(20)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1], asked
    finally:
        done.set()
        thread.join()
        listening.close()


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        (b"40000 , 25 : USERID : UNIX : joe\r\n", b"joe"),
        (b"40000,25:USERID:UNIX:joe\n", b"joe"),
        (b"40000,25:USERID:UNIX: j o\te \r\nmore\r\n", b"joe"),
        (b"40000,25:USERID:UNIX:a:b%c\xff\n", b"a:b%c\xff"),
        (b"40000,25:ERROR:NO-USER\r\n", b""),
        (b"40000,25:USERID:UNIX:" + b"x" * 500 + b"\n", b"x" * 257),
        (b"nonsense\n", b""),
        (b"\n", b""),
    ],
)
def test_the_answer_names_the_user(answer: bytes, user: bytes) -> None:
    with ident_server(answer) as (port, asked):
        assert remote_user(LOCAL, REMOTE, 10, port) == user
    assert asked == [b"40000 , 25\r\n"]


def test_the_answer_may_come_in_pieces() -> None:
    with ident_server(b"40000,25:USE", b"RID:UNIX:j", b"oe\r", b"\n") as (port, _):
        assert remote_user(LOCAL, REMOTE, 10, port) == b"joe"


@pytest.mark.parametrize("answer", [b"", b"40000,25:USERID:UNIX:joe"])
def test_an_answer_cut_short_is_none(answer: bytes) -> None:
    with ident_server(answer) as (port, _):
        assert remote_user(LOCAL, REMOTE, 10, port) is None


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    with ident_server(b"40000", stay=True) as (port, _):
        began = time.monotonic()
        assert remote_user(LOCAL, REMOTE, 0.2, port) is None
        assert time.monotonic() - began < 5


def test_a_server_that_never_ends_its_line_is_left() -> None:
    with ident_server(b"40000,25:USERID:UNIX:" + b"x" * 100_000, stay=True) as (port, _):
        assert remote_user(LOCAL, REMOTE, 10, port) == b"x" * 257


def test_nobody_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert remote_user(LOCAL, REMOTE, 10, port) is None


def test_an_error_has_no_user() -> None:
    assert user_in(b"1, 2 : ERROR : HIDDEN-USER\r") == b""


@given(st.binary() | st.binary().map(b"1,2:USERID:UNIX:".__add__))
@example(b"1,2:USERID:UNIX:a\rtcpserver: ok\r\n1,2:USERID:UNIX:b\n")
def test_whatever_comes_the_user_has_no_blank_and_no_line_end(said: bytes) -> None:
    user = user_in(said.split(b"\n", 1)[0])
    assert len(user) <= LONGEST
    assert not set(user) & set(b" \t\r\n")
