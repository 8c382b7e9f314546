"""mconnect, mconnect-io, tcpcat, date@, finger@, http@ and who@, with real servers where a port can be chosen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest
from commands import BIN, environment, run, start
from nameserver import free_port
from peer import CLOSE, STALL, Peer, Until
from processes import peak
from until import until

MEMORY = 48 << 20  # bytes: an interpreter and a few buffers
MUCH = 20 << 20
EVERY_BYTE = bytes(range(256))


def talking(command: str, port: int) -> subprocess.Popen[bytes]:
    """*command* in conversation with a port of this machine, and with us."""
    return start(command, "127.0.0.1", str(port), stdin=PIPE, stdout=PIPE)


@contextmanager
def conversation(*words: str, **more: object) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A client, and the server's end of its connection, whose port is added to *words*."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        start(*words, str(listener.getsockname()[1]), **more) as process,
        listener.accept()[0] as server,
    ):
        server.settimeout(60)
        yield process, server


# -- mconnect ----------------------------------------------------------------------------


def test_mconnect_ends_lines_as_smtp_wants_them_and_shows_what_comes_as_it_is() -> None:
    with Peer([b"220 hi\r\n", Until(b"QUIT\r\n"), b"221 " + EVERY_BYTE, CLOSE]) as peer:
        done = run("mconnect", "127.0.0.1", str(peer.port), input=b"HELO \0me\r\nQUIT\n")
    assert done == (0, b"220 hi\r\n221 " + EVERY_BYTE, b"")
    assert peer.heard == [b"HELO \0me\r\r\nQUIT\r\n"]


def test_mconnect_ends_when_the_server_does_even_while_there_is_input() -> None:
    with Peer([b"421 go away\r\n", CLOSE]) as peer, talking("mconnect", peer.port) as process:
        assert process.stdin and process.stdout
        assert process.wait(30) == 0
        assert process.stdout.read() == b"421 go away\r\n"


def test_mconnect_goes_on_after_the_end_of_its_input() -> None:
    """The server does not see that end."""
    with conversation("mconnect", "127.0.0.1", stdin=PIPE, stdout=PIPE) as (process, server):
        assert process.stdin and process.stdout
        process.stdin.write(b"unended")
        process.stdin.close()
        assert server.recv(100) == b"unended"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(100)
        server.setblocking(True)
        server.sendall(b"250 late\r\n")
        server.close()
        assert (process.stdout.read(), process.wait(30)) == (b"250 late\r\n", 0)


def test_mconnect_ends_when_nobody_reads_what_the_server_says() -> None:
    with Peer([b"x" * (1 << 20), STALL]) as peer, talking("mconnect", peer.port) as process:
        assert process.stdout and process.stdout.read(1) == b"x"
        process.stdout.close()
        assert process.wait(30) == 0


def test_mconnect_does_not_block_when_both_sides_send_much_before_they_read() -> None:
    with conversation("mconnect", "127.0.0.1", stdin=PIPE, stdout=PIPE) as (process, server):
        assert process.stdin and process.stdout
        user = meanwhile(lambda: os.writev(process.stdin.fileno(), [b"y" * MUCH]))
        talker = meanwhile(lambda: server.sendall(b"x" * MUCH))
        process.stdin.close()
        received = 0
        while received < MUCH:  # nobody reads what comes out
            received += len(server.recv(1 << 20))
        assert peak(process.pid) < MEMORY
        server.close()
        out = process.stdout.read()
        assert (len(out), process.wait(30)) == (MUCH, 0)
        assert [os.waitpid(pid, 0)[1] for pid in (user, talker)] == [0, 0]


def meanwhile(work: Callable[[], object]) -> int:
    """Have a child do *work*; its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def test_mconnect_complains_when_there_is_no_server() -> None:
    port = free_port()
    line = f"tcpclient: unable to connect to 127.0.0.1 port {port}: connection refused\n"
    assert run("mconnect", "127.0.0.1", str(port)) == (111, b"", line.encode())
    assert run("tcpcat", "127.0.0.1", str(port)) == (111, b"", line.encode())


def test_mconnect_dies_of_an_interrupt() -> None:
    with Peer([b"220 hi\r\n", STALL]) as peer, talking("mconnect", peer.port) as process:
        assert process.stdout and process.stdout.readline() == b"220 hi\r\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


# -- tcpcat ------------------------------------------------------------------------------


def test_tcpcat_prints_all_that_comes_as_it_is_and_sends_nothing() -> None:
    data = EVERY_BYTE * 40000
    with Peer([data, CLOSE]) as peer:
        assert run("tcpcat", "127.0.0.1", str(peer.port), input=b"not sent\n") == (0, data, b"")
    assert peer.heard == [b""]


# -- those that ask one thing ------------------------------------------------------------


def test_http_prints_the_body_without_head_carriage_returns_and_blank_lines() -> None:
    with Peer(
        [Until(b"\r\n\r\n"), b"HTTP/1.0 200 OK\r\nA: b\r\n\r\none\r\n\r\n\r\ntwo \xff\0\r\nthree", CLOSE]
    ) as peer:
        assert run("http@", "127.0.0.1", "some/page?x=1", str(peer.port)) == (0, b"one\ntwo \xff\0\nthree\n", b"")
    assert peer.heard == [b"GET /some/page?x=1 HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % peer.port]


def test_http_takes_an_answer_in_any_pieces() -> None:
    """Every byte is a packet of its own, as far as the machine lets us."""
    with conversation("http@", "127.0.0.1", "", stdout=PIPE) as (process, server):
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hear_question(server)
        for byte in b"HTTP/1.0 200 OK\r\n\r\n\r\na\r\n\r\n\r\nb\rc\r\n":
            server.sendall(bytes([byte]))
        server.close()
        assert process.stdout
        assert (process.stdout.read(), process.wait(30)) == (b"a\nb\rc\n", 0)


def test_http_prints_a_page_of_any_size_with_little_memory() -> None:
    with conversation("http@", "127.0.0.1", "", stdout=subprocess.DEVNULL) as (process, server):
        hear_question(server)
        server.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(MUCH >> 20):
            server.sendall(b"x" * (1 << 20))
        assert peak(process.pid) < MEMORY
        server.close()
        assert process.wait(30) == 0


def hear_question(server: socket.socket) -> None:
    """Read up to the blank line."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += server.recv(1000)


def test_nobody_there_is_said_and_the_exit_code_is_0_nevertheless() -> None:
    port = free_port()
    line = f"tcpclient: unable to connect to 127.0.0.1 port {port}: connection refused\n"
    assert run("http@", "127.0.0.1", "", str(port)) == (0, b"", line.encode())


@pytest.fixture
def instead(tmp_path: Path) -> Path:
    """A folder with another tcpclient, which answers with the file `answer` and notes what it was asked."""
    program = tmp_path / "tcpclient"
    program.write_text(
        f'#!/bin/sh\necho "$@" >{tmp_path}/words\nshift 4\nexec 6<{tmp_path}/answer 7>{tmp_path}/sent\nexec "$@"\n'
    )
    program.chmod(0o755)
    return tmp_path


def instead_of(folder: Path) -> dict[str, str | None]:
    return {"PATH": f"{folder}:{environment()['PATH']}"}


@pytest.mark.parametrize(
    ("words", "asked", "sent"),
    [
        (["date@"], "-RHl0 -- 0 13", b""),
        (["date@", "there"], "-RHl0 -- there 13", b""),
        (["who@"], "-RHl0 -- 0 11", b""),
        (["finger@"], "-RHl0 -- 0 79", b"\r\n"),
        (["finger@", "there", "joe smith"], "-RHl0 -- there 79", b"joe smith\r\n"),
        (["http@", "there"], "-RHl0 -- there 80", b"GET / HTTP/1.0\r\nHost: there:80\r\n\r\n"),
        (["mconnect"], "-RHl0 -- 0 25", b""),
        (["mconnect", "there", "smtp"], "-RHl0 -- there smtp", b""),
        (["tcpcat", "there"], "-RHl0 -- there 17", b""),
    ],
)
def test_each_runs_tcpclient_with_what_it_is_for(words: list[str], asked: str, sent: bytes, instead: Path) -> None:
    """And it is the tcpclient that PATH has."""
    (instead / "answer").write_bytes(b"")
    assert run(*words, env=instead_of(instead)) == (0, b"", b"")
    assert (instead / "words").read_text().startswith(asked)
    assert (instead / "sent").read_bytes() == sent


@pytest.mark.parametrize("command", ["date@", "who@", "finger@"])
def test_what_a_terminal_would_obey_is_shown_as_cat_v_does(command: str, instead: Path) -> None:
    """But for carriage returns at the ends of lines."""
    (instead / "answer").write_bytes(EVERY_BYTE + b"\r\r\n\r")
    expected = subprocess.run(["cat", "-v"], input=EVERY_BYTE + b"\r\n\r", stdout=PIPE, check=True).stdout
    assert run(command, env=instead_of(instead)) == (0, expected, b"")


def test_a_missing_tcpclient_is_said(tmp_path: Path) -> None:
    for command in "tcpcat", "date@":
        done = run(BIN / command, "127.0.0.1", env={"PATH": str(tmp_path)})
        assert b"unable to run tcpclient: file does not exist\n" in done.err


def test_a_question_ends_when_nobody_reads_the_answer(instead: Path) -> None:
    os.unlink(instead / "tcpclient")
    (instead / "tcpclient").write_text("#!/bin/sh\nexec yes\n")
    (instead / "tcpclient").chmod(0o755)
    with start("date@", env=instead_of(instead), stdout=PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert until(lambda: process.poll()) == -signal.SIGPIPE
