"""tcp-env: what inetd starts gets tcpserver's environment."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from commands import environment

FORGED = {"PROTO": "UDP", "TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": "trusted.example", "TCPREMOTEINFO": "root"}


@contextmanager
def connection(client: str = "127.0.0.1", server: str = "127.0.0.1") -> Iterator[socket.socket]:
    """The server's end of a connection between these addresses."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.create_server((server, 0), family=family) as listening, socket.socket(family) as calling:
        calling.bind((client, 0))
        calling.connect(listening.getsockname()[:2])
        accepted, _ = listening.accept()
        with accepted:
            yield accepted


def tcp_env(end: socket.socket, *argv: str, env: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Exit code, the variables of connections that a program then has, and what is said."""
    done = subprocess.run(["tcp-env", *argv], stdin=end, capture_output=True, env=environment(env), check=False)
    pairs = (line.partition("=") for line in done.stdout.decode().splitlines())
    return done.returncode, {name: value for name, _, value in pairs if name.startswith(("PROTO", "TCP"))}, done.stderr


def test_a_program_learns_who_is_at_both_ends(name_server: str) -> None:
    with connection("127.0.0.2") as end:
        code, found, err = tcp_env(end, "-R", "env", env={**FORGED, "DNSCACHEIP": name_server})
        port, remote_port = end.getsockname()[1], end.getpeername()[1]
    assert (code, err) == (0, b"")
    assert found == {
        "PROTO": "TCP",
        "TCPLOCALIP": "127.0.0.1",
        "TCPLOCALPORT": str(port),
        "TCPLOCALHOST": "here.example",
        "TCPREMOTEIP": "127.0.0.2",
        "TCPREMOTEPORT": str(remote_port),
        "TCPREMOTEHOST": "shouting.example",
    }


def test_a_name_that_nobody_can_tell_is_said_to_be_so_and_one_that_is_not_there_is_unset(name_server: str) -> None:
    with connection("127.0.0.6", "127.0.0.77") as end:
        code, found, _ = tcp_env(end, "-R", "env", env={**FORGED, "DNSCACHEIP": name_server})
    assert code == 0 and found["TCPREMOTEHOST"] == "softdnserror"
    assert "TCPLOCALHOST" not in found and "TCPREMOTEINFO" not in found


def test_ipv6_is_told_as_tcpserver_tells_it(name_server: str) -> None:
    with connection("::1", "::1") as end:
        code, found, _ = tcp_env(end, "-R", "env", env={"DNSCACHEIP": name_server})
    assert code == 0 and found["PROTO"] == "TCP6"
    assert found["TCPREMOTEIP"] == "::1" and found["TCPREMOTEHOST"] == "here.example"


@pytest.mark.parametrize("proto", ["TCP", "TCP6"])
def test_an_environment_that_is_there_stays(proto: str) -> None:
    env = {**FORGED, "PROTO": proto}
    with connection() as end:
        assert tcp_env(end, "-xyz", "env", env=env) == (0, env, b"")


@pytest.mark.parametrize("argv", [[], ["-t"], ["-Rt", "5"], ["-R", "no-such-program"], ["-R", "/etc/passwd"]])
def test_its_own_failures_are_silent(argv: list[str], name_server: str) -> None:
    with connection() as end:
        assert tcp_env(end, *argv, env={"DNSCACHEIP": name_server}) == (111, {}, b"")


def test_what_is_no_tcp_connection_is_not_served() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for end in (ours, datagrams):
            assert tcp_env(end, "-R", "env", env={}) == (111, {}, b"")


@pytest.mark.root
def test_the_other_end_is_asked_who_has_called(name_server: str) -> None:
    with socket.create_server(("127.0.0.9", 113)) as ident, connection("127.0.0.9") as end:
        env = environment({"DNSCACHEIP": name_server})
        with subprocess.Popen(["tcp-env", "-t9", "env"], stdin=end, stdout=subprocess.PIPE, env=env) as child:
            asking, _ = ident.accept()
            with asking:
                assert asking.recv(100) == b"%d , %d\r\n" % (end.getpeername()[1], end.getsockname()[1])
                asking.sendall(b"1,2:USERID:UNIX: joe\r\n")
            assert child.stdout and b"TCPREMOTEINFO=joe\n" in child.stdout.read()
