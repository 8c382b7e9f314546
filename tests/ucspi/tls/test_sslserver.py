"""sslserver, in the manner of ucspi-ssl."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from authority import Authority
from commands import BIN
from tcp import Server
from tlsclient import everything, over, speak

SSLSERVER = BIN / "sslserver"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> dict[str, str | None]:
    return {"CERTFILE": str(authority.certify("mail.example.org")), "CAFILE": str(authority.file)}


def told(client: ssl.SSLSocket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in everything(client).decode().splitlines() if "=" in line)


@pytest.mark.parametrize("tcp", [True, False])
def test_the_environment_is_that_of_ucspi_ssl(tcp: bool, authority: Authority, files: dict[str, str | None]) -> None:
    options = ["-vRHl0", "-e" if tcp else "-E"]
    with Server("env", tcpserver=SSLSERVER, options=options, env={**files, "TCPREMOTEIP": "inherited"}) as server:
        with speak(server, authority) as client:
            port = client.getsockname()[1]
            found = told(client)
        assert found["PROTO"] == "SSL"
        assert (found["SSLREMOTEIP"], found["SSLREMOTEPORT"], found["SSLLOCALHOST"]) == ("127.0.0.1", str(port), "0")
        assert "SSL_PROTOCOL" not in found
        assert found.get("TCPREMOTEIP") == ("127.0.0.1" if tcp else None)
        lines = server.lines(4)
        assert lines[:2] == ["sslserver: status: 0/40", "sslserver: status: 1/40"]
        assert all(line.startswith("sslserver: ") for line in lines)


def test_the_program_is_told_about_certificates(
    authority: Authority, files: dict[str, str | None], tmp_path: Path
) -> None:
    own = authority.certify("client.example.org", tmp_path / "own.pem")
    with Server("env", tcpserver=SSLSERVER, options=["-RHl0", "-si"], env=files) as server:
        with speak(server, authority, own) as client:
            assert told(client)["SSL_CLIENT_S_DN_CN"] == "client.example.org"
        with pytest.raises(OSError), speak(server, authority) as client:
            assert told(client)
        assert server.logged("sslserver: warning: dropping connection, unable to accept TLS: ")


def test_a_program_may_start_tls_later(authority: Authority, files: dict[str, str | None]) -> None:
    program = ("sh", "-c", "echo go; printf y >&$SSLCTLFD; read -r word <&4; echo $word >&4")
    with Server(*program, tcpserver=SSLSERVER, options=["-RHl0", "-n"], env=files) as server:
        plain = server.connect()
        assert plain.recv(3) == b"go\n"
        with over(plain, authority) as client:
            client.sendall(b"hello\n")
            assert everything(client) == b"hello\n"


def test_a_client_that_does_not_shake_hands_is_given_up(files: dict[str, str | None]) -> None:
    with Server("cat", tcpserver=SSLSERVER, options=["-vRHl0", "-T1"], env=files) as server, server.connect() as client:
        assert client.recv(1) == b""
        server.logged("sslserver: warning: dropping connection, unable to accept TLS: timed out\n")


def test_a_connection_on_which_nothing_is_said_is_given_up(authority: Authority, files: dict[str, str | None]) -> None:
    server = Server("cat", tcpserver=SSLSERVER, options=["-vRHl0", "-w1"], env=files)
    with server, speak(server, authority) as client:
        client.sendall(b"hello\n")
        assert client.recv(100) == b"hello\n"
        assert client.recv(1) == b""  # an end without a word


@pytest.mark.root
def test_keys_are_read_afterwards_unless_before_is_asked_for(authority: Authority, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    env = {"CERTFILE": str(authority.certify("mail.example.org", tmp_path / "mail.pem"))}
    with pytest.raises(AssertionError, match=r"sslserver: fatal: unable to use certificate in .*: access denied"):
        Server("cat", tcpserver=SSLSERVER, options=["-RHl0", "-u", "qmaild"], env=env)
    server = Server("cat", tcpserver=SSLSERVER, options=["-aRHl0", "-u", "qmaild"], env=env)
    with server, speak(server, authority) as client:
        client.sendall(b"hello\n")
        assert client.recv(100) == b"hello\n"
