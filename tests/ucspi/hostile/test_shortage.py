"""A server that has no descriptor or no process left: it waits, says so, and goes on."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from processes import descendants
from siege import FOREIGN, OWN, processor_time, unharmed
from tcp import Server
from unixsockets import Server as UnixServer
from until import until

NO_DESCRIPTOR = "tcpserver: warning: unable to accept connections: process cannot open more files\n"
NO_PROCESS = "tcpserver: warning: dropping connection, unable to fork: temporary failure\n"
LINE = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"
NOBODY_ELSE = 54321  # a user who has no process but ours


def limited(which: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(which, (value, value))


def allow(pid: int, descriptors: int) -> None:
    """Let a process that runs open files below this number."""
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, most))


def sleeps(pid: int) -> int:
    """How often a process has gone to sleep."""
    return int(psutil.Process(pid).num_ctx_switches().voluntary)


def assert_rests(pid: int) -> None:
    """A process sleeps, again and again, and hardly works in between."""
    before, worked, began = sleeps(pid), processor_time(pid), time.monotonic()
    until(lambda: sleeps(pid) >= before + 2, what="it sleeps")
    assert processor_time(pid) - worked < (time.monotonic() - began) / 2


def test_a_connection_waits_for_a_descriptor_and_the_server_rests() -> None:
    with Server("cat") as server, unharmed(server, FOREIGN):
        allow(server.pid, 3)
        with server.connect() as waiting:
            waiting.sendall(b"hello")
            server.logged(NO_DESCRIPTOR)
            assert_rests(server.pid)
            allow(server.pid, 100)
            assert waiting.recv(5) == b"hello"
        assert server.log().count(NO_DESCRIPTOR) == 1


def test_descriptors_that_silent_proxies_take_come_back() -> None:
    options = ("-vRHl0", "--proxy", "127.0.0.1", "-b100")
    server = Server("cat", options=options, preexec_fn=limited(resource.RLIMIT_NOFILE, 20))
    with server, unharmed(server, FOREIGN, lambda: server.ask(say=LINE + b"hello\n") == b"hello\n"):
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(server.connect())
            server.logged(NO_DESCRIPTOR)
            assert_rests(server.pid)
        server.logged("no PROXY header from 127.0.0.1\n", 30)


def test_few_descriptors_serve_few_clients_and_each_other_one_is_told_of() -> None:
    options = ("-vRHl0", "-b100")
    server = Server(*OWN.program, options=options, env=OWN.env, preexec_fn=limited(resource.RLIMIT_NOFILE, 16))
    with server, unharmed(server, OWN), ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(30)]
        served = [greeted(client) for client in clients].count(True)
        assert 0 < served < 30
        server.logged("dropping connection, unable to fork: process cannot open more files\n", 30 - served)


def greeted(client: socket.socket) -> bool:
    """Whether *client* is served, and not dropped."""
    try:
        return client.recv(100) == b"220 rblsmtpd.local\r\n"
    except ConnectionError:
        return False


@pytest.mark.root
def test_a_connection_for_which_there_is_no_process_is_dropped_and_told_of() -> None:
    options = ("-vRHl0", "-b100", "-u", str(NOBODY_ELSE))
    server = Server("cat", options=options, preexec_fn=limited(resource.RLIMIT_NPROC, 5))
    with server, unharmed(server, FOREIGN), ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(20)]
        server.logged(NO_PROCESS, 18)
        assert server.log().count(NO_PROCESS) == 18
        assert len(descendants(server.pid)) == 4  # the nursery, a worker and its program, a worker that became one
        for client in clients:
            client.close()


def test_a_unix_server_waits_for_a_descriptor_too(tmp_path: Path) -> None:
    with UnixServer(tmp_path, "cat") as server:
        allow(server.process.pid, 3)
        with server.connect() as waiting:
            waiting.sendall(b"hello")
            until(lambda: "accept: Too many open files\n" in server.err())
            assert_rests(server.process.pid)
            allow(server.process.pid, 100)
            assert waiting.recv(5) == b"hello"
        assert server.err().count("accept: ") == 1
