"""The conversation with a refused client, with real processes and clients of every kind."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from blocklists import OURS
from commands import environment
from hypothesis import given
from hypothesis import strategies as st
from processes import peak
from tcp import Server, rest

from ucspi.rbl.refusal import HARD, MEMORABLE, Refusal, Session

LOGGED = re.compile(rb"rblsmtpd: 192\.0\.2\.1 pid \d+: 553 no\n")
MUCH = 10 << 20  # bytes


@contextmanager
def refused(*options: str) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A client over TCP and the rblsmtpd that refuses it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        served, _ = listening.accept()
    env = environment({"RBLSMTPD": "-no", "TCPREMOTEIP": "192.0.2.1"})
    with client, served:
        client.settimeout(30)
        process = subprocess.Popen(
            [OURS, *options, "false"], env=env, stdin=served, stdout=served, stderr=subprocess.PIPE
        )
        served.close()
        try:
            yield client, process
        finally:
            process.kill()
            process.communicate()


def ends_well(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ends with 0 and its one line."""
    _, said = process.communicate(timeout=30)
    return process.returncode == 0 and bool(LOGGED.fullmatch(said))


def expect(client: socket.socket, reply: bytes) -> None:
    """Wait for *reply*."""
    got = b""
    while len(got) < len(reply) and (more := client.recv(len(reply) - len(got))):
        got += more
    assert got == reply


def test_replies_come_while_the_client_waits_for_them() -> None:
    with refused() as (client, process):
        expect(client, b"220 rblsmtpd.local\r\n")
        for command, reply in [
            (b"EHLO me", b"250 rblsmtpd.local"),
            (b"MAIL FROM:<a@b>", b"250 rblsmtpd.local"),
            (b"RCPT TO:<c@d>", b"553 no"),
            (b"DATA", b"553 no"),
            (b"RSET", b"250 rblsmtpd.local"),
            (b"QUIT", b"221 rblsmtpd.local"),
        ]:
            client.sendall(command + b"\r\n")
            expect(client, reply + b"\r\n")
        assert rest(client) == b""
        assert ends_well(process)


def test_a_client_that_sends_byte_after_byte_has_no_more_time_than_any_other() -> None:
    with refused("-t1") as (client, process):
        trickling = threading.Thread(target=trickle, args=(client, process))
        trickling.start()
        assert ends_well(process)
        trickling.join()
    with refused("-t1") as (_, process):
        assert ends_well(process)


def trickle(client: socket.socket, process: subprocess.Popen[bytes]) -> None:
    try:
        while process.poll() is None:
            client.sendall(b"x")
    except OSError:
        pass


def test_a_client_that_takes_no_replies_has_no_more_time_either() -> None:
    with refused("-t1") as (client, process):
        pouring = threading.Thread(target=pour, args=(client, b"rcpt\r\n" * 10000))
        pouring.start()
        assert ends_well(process)
        client.close()
        pouring.join()


def pour(client: socket.socket, text: bytes) -> None:
    try:
        while True:
            client.sendall(text)
    except OSError:
        pass


def test_a_line_without_end_takes_no_memory_and_has_its_reply_in_the_end() -> None:
    with refused() as (client, process):
        expect(client, b"220 rblsmtpd.local\r\n")
        before = peak(process.pid)
        client.sendall(b"x" * MUCH + b"\r\n")
        expect(client, b"553 no\r\n")
        client.sendall(b"noop " + b"x" * MUCH + b"\r\n")
        expect(client, b"250 rblsmtpd.local\r\n")
        assert peak(process.pid) - before < MUCH // 4
        client.sendall(b"quit\r\n")
        assert ends_well(process)


def test_commands_without_end_take_no_memory() -> None:
    with refused() as (client, process):
        expect(client, b"220 rblsmtpd.local\r\n")
        before = peak(process.pid)
        count = MUCH // 10
        sending = threading.Thread(target=client.sendall, args=(b"\n" * count,))
        sending.start()
        for _ in range(count // 1000):
            expect(client, b"553 no\r\n" * 1000)
        sending.join()
        assert peak(process.pid) - before < MUCH // 4
        client.sendall(b"quit\r\n")
        assert ends_well(process)


def test_a_client_that_resets_the_connection_leaves_one_line() -> None:
    with refused() as (client, process):
        expect(client, b"220 rblsmtpd.local\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert ends_well(process)


def test_a_client_that_hangs_up_leaves_one_line() -> None:
    with refused() as (client, process):
        client.sendall(b"helo\r\nqui")
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n"
        assert ends_well(process)


def test_what_comes_behind_quit_is_not_answered() -> None:
    session = Session(Refusal(HARD, b"no"))
    assert session.feed(b"quit\r\nnoop\r\n") == b"221 rblsmtpd.local\r\n"
    assert session.over


@given(
    st.lists(
        st.sampled_from([b"helo", b"quit", b"QUI", b"t", b" ", b"\r", b"\n", b"\r\n", b"\0", b"x" * 70]), max_size=30
    )
)
def test_it_does_not_matter_how_the_network_cuts_what_the_client_says(pieces: list[bytes]) -> None:
    whole, cut = Session(Refusal(HARD, b"no")), Session(Refusal(HARD, b"no"))
    at_once = whole.feed(b"".join(pieces))
    bit_by_bit = b""
    for piece in pieces:
        if not cut.over:
            bit_by_bit += cut.feed(piece)
        assert len(cut.line) <= MEMORABLE
    assert bit_by_bit == at_once
    assert cut.over == whole.over


# -- under tcpserver ---------------------------------------------------------------------------


def test_one_worker_refuses_and_serves_many_clients() -> None:
    program = ("rblsmtpd", "-t0", "rblsmtpd", "rblsmtpd", "rblsmtpd")
    with Server(*program, env={"RBLSMTPD": "no"}) as server:
        heard = [server.ask() for _ in range(20)]
        server.logged(" status 0\n", 20)
    assert heard == [b"451 no\r\n"] * 20
    assert len(set(server.pids())) < 20
    assert len(re.findall(r"^rblsmtpd: 127\.0\.0\.1 pid \d+: 451 no$", server.log(), re.M)) == 20


def test_what_one_client_is_told_the_next_one_does_not_inherit(cache: str) -> None:
    chain = ("rblsmtpd", "-i", "-r", "plain.example:found", "rblsmtpd", "-t0", "echo", "served")
    with Server(*chain, env={"DNSCACHEIP": cache}, host="0") as server:
        heard = [server.ask(source=source) for source in ("127.0.0.1", "127.0.0.2") * 3]
    assert heard == [b"451 [RBL info] found\r\n", b"served\n"] * 3
