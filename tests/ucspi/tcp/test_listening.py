"""Where tcpserver listens: several places, sockets that somebody else has opened; and how it stops."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest
from commands import environment, run
from tcp import OURS, Server, rest
from until import until

HAND_OVER = """
import os, socket, sys
family, kind, count, listens = (int(word) for word in sys.argv[1:5])
for number in range(count):
    opened = socket.socket(family, kind)
    if listens:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
    os.dup2(opened.detach(), 200 + number)
for number in range(count):
    os.dup2(200 + number, 3 + number)
    os.close(200 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execv(sys.argv[5], sys.argv[5:])
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def ask(port: int, host: str = "127.0.0.1") -> bytes:
    with socket.create_connection((host, port), timeout=20) as client:
        return rest(client)


def test_it_listens_in_several_places() -> None:
    ports = free_port(), free_port()
    more = ["--listen", f"127.0.0.1:{ports[0]}", f"--listen=[::1]:{ports[1]}"]
    with Server("sh", "-c", "echo $TCPLOCALIP $TCPLOCALPORT", options=["-vRHl0", *more]) as server:
        assert server.ports[1:] == list(ports)
        assert server.ask() == f"127.0.0.1 {server.port}\n".encode()
        assert ask(ports[0]) == f"127.0.0.1 {ports[0]}\n".encode()
        assert ask(ports[1], "::1") == f"::1 {ports[1]}\n".encode()


def test_all_places_share_one_limit() -> None:
    port = free_port()
    options = ["-vRHl0", "-c1", "--listen", f"127.0.0.1:{port}"]
    with Server("cat", options=options) as server, server.connect() as first:
        server.logged("tcpserver: status: 1/1")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as second:
            second.sendall(b"hello\n")
            first.close()
            assert second.recv(100) == b"hello\n"


@pytest.mark.parametrize("place", ["25", ":25", "127.0.0.1:", ""])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(AssertionError, match="tcpserver: fatal: --listen needs host:port and not " + place):
        Server("true", options=["--listen", place])


def handed_over(
    *options: str, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, count: int = 2, listens: bool = True
) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", HAND_OVER, *map(str, (int(family), int(kind), count, int(listens)))]
    program = [
        OURS,
        *options,
        "-RHl0",
        "-1",
        "192.0.2.1",
        "0",
        "sh",
        "-c",
        "ls /proc/$$/fd; env | grep LISTEN; echo $TCPLOCALPORT",
    ]
    return subprocess.Popen(
        [*words, *program], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_sockets_that_were_opened_for_us_are_taken_instead_of_our_own() -> None:
    with handed_over() as server:
        assert server.stdout
        ports = [int(line) for line in server.stdout.read().split()]
        assert len(ports) == 2
        for port in ports:
            assert ask(port) == f"0\n1\n2\n{port}\n".encode()
        server.terminate()
        assert server.wait(20) == 0


def test_sockets_for_another_process_are_left_alone() -> None:
    with Server("sh", "-c", "env | grep LISTEN", env={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as server:
        assert server.ask() == b"LISTEN_PID=1\nLISTEN_FDS=1\n"


@pytest.mark.parametrize(
    ("family", "kind", "listens"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, False),
        (socket.AF_UNIX, socket.SOCK_STREAM, False),
        (socket.AF_INET, socket.SOCK_STREAM, False),
    ],
)
def test_what_was_opened_and_does_not_listen_is_refused(family: int, kind: int, listens: bool) -> None:
    with handed_over(family=family, kind=kind, count=1, listens=listens) as server:
        assert server.communicate(timeout=20)[1] == (
            b"tcpserver: fatal: unable to use descriptor 3 of LISTEN_FDS: not a TCP socket that listens\n"
        )
        assert server.returncode == 111


def test_draining_waits_for_connections_and_accepts_no_more() -> None:
    with Server("cat", options=["-vRHl0", "--drain", "60"]) as server, server.connect() as client:
        server.logged("tcpserver: ok ")
        server.process.terminate()
        until(lambda: refused(server.port))
        client.sendall(b"hello\n")
        assert client.recv(100) == b"hello\n"
        assert server.process.poll() is None
        client.close()
        assert server.process.wait(20) == 0
        assert server.log().endswith("tcpserver: status: 0/40\n")


def test_draining_ends_when_its_time_is_over() -> None:
    with Server("cat", options=["-vRHl0", "--drain", "1"]) as server, server.connect() as client:
        server.logged("tcpserver: ok ")
        before = time.monotonic()
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert time.monotonic() - before >= 1
        client.sendall(b"hello\n")  # as ever, what is being served goes on
        assert client.recv(100) == b"hello\n"


def test_of_several_places_the_one_that_cannot_be_had_is_named() -> None:
    with Server("true") as server:
        place = f"127.0.0.1:{server.port}"
        done = run("tcpserver", "--listen", place, "127.0.0.1", "0", "true")
        line = f"tcpserver: fatal: unable to bind to 127.0.0.1 port {server.port}: address already used\n"
        assert done == (111, b"", line.encode())


def test_a_drain_that_is_no_number_is_refused() -> None:
    done = run("tcpserver", "--drain", "soon", "127.0.0.1", "0", "true")
    assert done == (100, b"", b"tcpserver: fatal: --drain needs seconds and not soon\n")


def test_draining_without_connections_is_over_at_once() -> None:
    with Server("cat", options=["-vRHl0", "--drain", "1000"]) as server:
        server.logged("tcpserver: status: 0/40")
        server.process.terminate()
        assert server.process.wait(20) == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionError:
        return True
    return False
