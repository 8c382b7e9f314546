"""unixserver, unixclient and unixcat with real sockets."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from commands import run
from unixsockets import Server


def test_a_program_learns_who_is_on_both_ends(tmp_path: Path) -> None:
    with Server(tmp_path, "env") as server:
        lines = dict(line.split("=", 1) for line in server.ask().decode().splitlines())
        pid = re.findall(r"pid (\d+)", server.logged("unixserver: status: 0/10", 2))
    assert [lines["PROTO"], lines["UNIXLOCALPATH"], lines["UNIXLOCALPID"]] == ["UNIX", "socket", *pid]
    assert [lines["UNIXREMOTEPID"], lines["UNIXREMOTEEUID"]] == [str(os.getpid()), str(os.geteuid())]
    assert lines["UNIXREMOTEEGID"] == str(os.getegid())


def test_each_connection_is_told_from_its_start_to_its_end(tmp_path: Path) -> None:
    with Server(tmp_path, "sh", "-c", "exit 3") as server:
        assert server.ask() == b""
        log = server.logged("status: 0/10", 2)
    assert re.sub(r"(pid|end) \d+", r"\1 N", log).splitlines() == [
        "unixserver: status: 0/10",
        "unixserver: status: 1/10",
        "unixserver: pid N",
        "unixserver: end N status 768",
        "unixserver: status: 0/10",
    ]


def test_more_connections_than_the_limit_wait(tmp_path: Path) -> None:
    with Server(tmp_path, "cat", options=["-v", "-c", "1"]) as server, server.connect() as first:
        server.logged("status: 1/1")
        with server.connect() as second:
            second.sendall(b"second\n")
            first.sendall(b"first\n")
            assert first.recv(100) == b"first\n"
            assert server.log().count("pid") == 1
            first.close()
            assert second.recv(100) == b"second\n"


def test_a_command_of_ours_serves_one_connection_after_another_in_one_process(tmp_path: Path) -> None:
    with Server(tmp_path, "qmail-getpw", "root") as server:
        heard = []
        for count in 1, 2:
            heard.append(server.ask())
            server.logged("status: 0/10", count + 1)
        first, second = re.findall(r"pid (\d+)", server.log())
    assert heard[0] == heard[1] != b""
    assert first == second


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_socket_goes_with_the_server(tmp_path: Path, number: int) -> None:
    with Server(tmp_path, "true") as server:
        assert server.end(number) == 0
        assert not server.socket.exists()


def test_a_socket_that_a_killed_server_left_is_replaced(tmp_path: Path) -> None:
    with Server(tmp_path, "echo", "old") as server:
        server.end(signal.SIGKILL)
        assert server.socket.exists()
    with Server(tmp_path, "echo", "new") as server:
        assert server.ask() == b"new\n"


def test_signals_that_are_no_end_are_ignored(tmp_path: Path) -> None:
    with Server(tmp_path, "echo", "still", "here") as server:
        for number in signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE:
            server.process.send_signal(number)
        assert server.ask() == b"still here\n"


def test_a_connection_goes_on_when_the_server_ends(tmp_path: Path) -> None:
    with Server(tmp_path, "cat") as server, server.connect() as client:
        server.logged("status: 1/10")
        client.sendall(b"before\n")
        assert client.recv(100) == b"before\n"
        assert server.end() == 0
        client.sendall(b"after\n")
        assert client.recv(100) == b"after\n"


def test_a_client_that_goes_before_its_banner_harms_nobody(tmp_path: Path) -> None:
    with Server(tmp_path, "true", options=["-v", "-B", "x" * 100_000]) as server:
        server.connect().close()
        server.logged("status: 0/10", 2)
        assert server.err() in ("", "write: Broken pipe\n", "write: Connection reset by peer\n")
        assert server.ask() == b"x" * 100_000


def test_a_program_does_not_get_the_socket_that_listens(tmp_path: Path) -> None:
    with Server(tmp_path, "sh", "-c", "ls /proc/$$/fd; true") as server:
        assert server.ask() == b"0\n1\n2\n"


def test_a_client_has_the_connection_on_descriptors_6_and_7(tmp_path: Path) -> None:
    with Server(tmp_path, "cat"):
        script = "echo hello >&7; head -n 1 <&6"
        assert run("unixclient", "socket", "sh", "-c", script, cwd=tmp_path) == (0, b"hello\n", b"")


def test_a_client_whose_descriptors_are_taken_connects_too(tmp_path: Path) -> None:
    with Server(tmp_path, "cat"):
        script = (
            "exec 3</dev/null 4</dev/null 5</dev/null; exec unixclient socket sh -c 'echo hello >&7; head -n 1 <&6'"
        )
        assert run("sh", "-c", script, cwd=tmp_path) == (0, b"hello\n", b"")


def test_unixcat_prints_what_comes(tmp_path: Path) -> None:
    size = 300_000
    with Server(tmp_path, "head", "-c", str(size), "/dev/zero"):
        assert run("unixcat", "socket", cwd=tmp_path) == (0, bytes(size), b"")


def test_options_stand_anywhere_unless_posix_is_to_be_followed(tmp_path: Path) -> None:
    refused = run("unixserver", "socket", "sh", "-c", "true", cwd=tmp_path)
    assert (refused.code, refused.err.splitlines()[0]) == (1, b"unixserver: Invalid connection limit number.")
    refused = run("unixserver", "none/socket", "sh", "-c", "true", cwd=tmp_path, env={"POSIXLY_CORRECT": "1"})
    assert (refused.code, refused.err) == (1, b"bind: No such file or directory\n")


def test_a_server_without_standard_descriptors_serves(tmp_path: Path) -> None:
    with Server(tmp_path, "echo", "hello", preexec_fn=lambda: os.closerange(0, 3)) as server:
        assert server.ask() == b"hello\n"


def test_the_mask_decides_who_may_connect(tmp_path: Path) -> None:
    with Server(tmp_path, "true", options=["-m", "0177"]) as server:
        assert server.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_that_comes_as_soon_as_the_socket_is_there_leaves_none(tmp_path: Path, number: int) -> None:
    for _ in range(5):
        with Server(tmp_path, "qmail-smtpd", ready=lambda server: server.socket.exists()) as server:
            assert server.end(number) == 0
            assert not server.socket.exists()
