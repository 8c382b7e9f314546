"""sslclient, in the manner of ucspi-ssl, with sslserver and openssl as servers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest
from authority import Authority, openssl
from commands import BIN, Result, run, start
from nameserver import RECORDS, free_port, serving
from peer import STALL, Peer
from processes import descendants, peak
from tcp import Server
from until import until

SSLSERVER = BIN / "sslserver"
NAME = "mail.example.org"
MEMORY = 64 << 20  # bytes: an interpreter with its TLS library and a few buffers
TALK = ("sh", "-c", "echo hello >&7; read -r answer <&6; echo $answer; exit 5")
MORE_RECORDS = f"{NAME}. A 127.0.0.1\n*.{NAME}. A 127.0.0.1\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Somebody whom the client does not trust."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.certify(NAME)


@pytest.fixture(scope="module")
def env(authority: Authority) -> Iterator[dict[str, str | None]]:
    """The client's environment: it trusts the authority, and finds the server's address."""
    nothing = dict.fromkeys(("CADIR", "CERTFILE", "KEYFILE", "CIPHERS", "SSL_CERT_FILE", "SSL_CERT_DIR"))
    with serving(RECORDS + MORE_RECORDS) as address:
        yield {**nothing, "CAFILE": str(authority.file), "DNSCACHEIP": address}


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    with Server("cat", tcpserver=SSLSERVER, options=["-vRHl0"], env={"CERTFILE": str(certificate)}) as running:
        yield running


def client(
    server: Server, env: dict[str, str | None], *options: str, host: str = NAME, program: tuple[str, ...] = TALK
) -> Result:
    return run("sslclient", "-RHl0", *options, host, str(server.port), *program, env=env)


def refused(why: str) -> Result:
    return Result(111, b"", b"sslclient: fatal: unable to start TLS: certificate verify failed: %s\n" % why.encode())


SPOKEN = Result(5, b"hello\n", b"")
MISMATCH = "Hostname mismatch, certificate is not valid for '{}'"


# -- what is said ------------------------------------------------------------------------


def test_the_program_speaks_clear_text_with_a_server_that_speaks_tls(
    server: Server, env: dict[str, str | None]
) -> None:
    assert client(server, env) == SPOKEN


def test_the_program_has_our_process_its_connection_and_nothing_else(
    server: Server, env: dict[str, str | None]
) -> None:
    script = "echo $$; ls -m /proc/$$/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; env | grep -c CERTFILE"
    pipes = {"stdin": PIPE, "stdout": PIPE}
    with start("sslclient", "-RHl0", NAME, str(server.port), "sh", "-c", script, env=env, **pipes) as process:
        out, _ = process.communicate()
    pid, descriptors, *signals, files = out.decode().splitlines()
    assert (int(pid), descriptors, files) == (process.pid, "0, 1, 2, 6, 7", "0")
    assert all(line.endswith("\t0000000000000000") for line in signals)


def test_much_goes_both_ways_at_once_in_little_memory(server: Server, env: dict[str, str | None]) -> None:
    size = 8 << 20
    script = f"head -c {size} /dev/zero >&7 & exec head -c {size} <&6"
    with start("sslclient", "-RHl0", NAME, str(server.port), "sh", "-c", script, env=env, stdout=PIPE) as process:
        assert process.stdout
        received = len(process.stdout.read(1))
        (speaker,) = [
            pid for pid in descendants(process.pid) if "sslclient" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        received += len(process.stdout.read(size // 2))
        assert peak(speaker) < MEMORY
        received += len(process.stdout.read())
        assert (received, process.wait(30)) == (size, 0)


def test_what_the_program_said_last_arrives_though_it_has_ended(certificate: Path, env: dict[str, str | None]) -> None:
    with heard_by(certificate) as (port, heard):
        script = "head -c 1000000 /dev/zero >&7"
        assert run("sslclient", "-RHl0", NAME, str(port), "sh", "-c", script, env=env).code == 0
        until(lambda: heard)
    assert heard == [b"\0" * 1000000]


@contextmanager
def heard_by(certificate: Path, answer: bytes = b"", later: bytes = b"") -> Iterator[tuple[int, list[bytes]]]:
    """A server for one client: its port, and, when the client has ended, what it has heard.

    Args:
        answer: what it says at once.
        later: what it says after the client's end.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def serve() -> None:
        with listener.accept()[0] as connection:
            connection.settimeout(20)
            with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as tls:
                tls.sendall(answer)
                heard.append(b"".join(iter(lambda: tls.recv(65536), b"")))
                if later:
                    tls.sendall(later)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1]), heard
        thread.join(20)
        assert not thread.is_alive()


def test_the_program_may_end_what_it_says_and_still_listen(certificate: Path, env: dict[str, str | None]) -> None:
    script = (
        "import socket; s = socket.socket(fileno=7); s.sendall(b'question'); s.shutdown(socket.SHUT_WR);"
        "print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    )
    with heard_by(certificate, later=b"answer") as (port, heard):
        done = run("sslclient", "-RHl0", NAME, str(port), "python3", "-c", script, env=env)
    assert (done, heard) == (Result(0, b"answer\n", b""), [b"question"])


def test_the_program_sees_the_end_of_the_server(certificate: Path, env: dict[str, str | None]) -> None:
    with Server("echo", "bye", tcpserver=SSLSERVER, options=["-RHl0"], env={"CERTFILE": str(certificate)}) as server:
        assert client(server, env, program=("sh", "-c", "cat <&6; exit 3")) == (3, b"bye\n", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_killed_takes_the_connection_with_it(
    number: signal.Signals, server: Server, env: dict[str, str | None]
) -> None:
    script = "echo ready; exec sleep 1000"
    with start("sslclient", "-RHl0", NAME, str(server.port), "sh", "-c", script, env=env, stdout=PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        server.logged("status: 1/40")
        process.send_signal(number)
        assert process.wait(30) == -number
        server.logged("status: 0/40", 2)


def test_when_tls_is_killed_the_program_sees_the_end(server: Server, env: dict[str, str | None]) -> None:
    script = "echo ready; cat <&6; exit 4"
    with start("sslclient", "-RHl0", NAME, str(server.port), "sh", "-c", script, env=env, stdout=PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        for pid in descendants(process.pid):
            if b"sslclient" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        assert process.wait(30) == 4


def test_a_connection_on_which_nothing_is_said_is_given_up(server: Server, env: dict[str, str | None]) -> None:
    assert client(server, env, "-w1", program=("sh", "-c", "cat <&6; exit 3")).code == 3


# -- who the server is -------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_any_will_do(
    stranger: Authority, env: dict[str, str | None]
) -> None:
    files = {"CERTFILE": str(stranger.certify(NAME))}
    with Server("cat", tcpserver=SSLSERVER, options=["-RHl0"], env=files) as server:
        assert client(server, env) == refused("unable to get local issuer certificate")
        assert client(server, env, "-N") == refused("unable to get local issuer certificate")
        assert client(server, env, "-q") == (111, b"", b"")
        assert client(server, env, "-X") == SPOKEN
        assert client(server, env, "-Xx").code == 111
        assert client(server, env, "-a", str(stranger.file)) == SPOKEN


def test_a_certificate_for_another_name_is_refused_unless_any_name_will_do(
    server: Server, env: dict[str, str | None]
) -> None:
    other = f"other.{NAME}"
    assert client(server, env, host=other) == refused(MISMATCH.format(other))
    assert client(server, env, "-N", host=other) == SPOKEN
    assert client(server, env, "-Nn", host=other).code == 111
    assert client(server, env, "-X", host=other) == SPOKEN


def test_a_name_with_a_dot_at_its_end_is_the_same(server: Server, env: dict[str, str | None]) -> None:
    assert client(server, env, host=NAME + ".") == SPOKEN


def test_an_address_must_be_in_the_certificate_too(server: Server, env: dict[str, str | None]) -> None:
    why = "IP address mismatch, certificate is not valid for '127.0.0.1'"
    assert client(server, env, host="127.0.0.1") == refused(why)
    assert client(server, env, "-N", host="127.0.0.1") == SPOKEN


def test_this_machine_is_called_localhost(authority: Authority, env: dict[str, str | None], tmp_path: Path) -> None:
    files = {"CERTFILE": str(authority.certify("localhost", tmp_path / "localhost.pem"))}
    with Server("cat", tcpserver=SSLSERVER, options=["-RHl0"], env=files) as server:
        assert client(server, env, host="0") == SPOKEN


def test_the_server_is_told_whom_we_want(
    authority: Authority, certificate: Path, env: dict[str, str | None], tmp_path: Path
) -> None:
    other = f"other.{NAME}"
    authority.certify(other, tmp_path / f"{other}.pem")
    files = {"CERTFILE": str(certificate), "CERTDIR": str(tmp_path)}
    with Server("cat", tcpserver=SSLSERVER, options=["-RHl0"], env=files) as server:
        assert client(server, env, host=other) == SPOKEN
        assert client(server, env) == SPOKEN


def test_those_are_trusted_whom_a_folder_has(
    server: Server, authority: Authority, env: dict[str, str | None], tmp_path: Path
) -> None:
    shutil.copy(authority.file, tmp_path / "ca.pem")
    openssl("rehash", tmp_path)
    assert client(server, {**env, "CAFILE": None, "CADIR": str(tmp_path)}) == SPOKEN
    assert client(server, {**env, "CAFILE": None}, "-A", str(tmp_path)) == SPOKEN


def test_those_are_trusted_whom_the_system_trusts_when_nobody_is_named(
    server: Server, authority: Authority, env: dict[str, str | None]
) -> None:
    """The variable is how the library is told where the system has them."""
    assert client(server, {**env, "CAFILE": None}) == refused("unable to get local issuer certificate")
    assert client(server, {**env, "CAFILE": None, "SSL_CERT_FILE": str(authority.file)}) == SPOKEN


# -- who we are --------------------------------------------------------------------------


@pytest.fixture
def strict(certificate: Path, authority: Authority) -> Iterator[Server]:
    """A server that wants a certificate."""
    files = {"CERTFILE": str(certificate), "CAFILE": str(authority.file)}
    program = ("sh", "-c", "read -r line; echo $SSL_CLIENT_S_DN_CN")
    with Server(*program, tcpserver=SSLSERVER, options=["-RHl0", "-si"], env=files) as running:
        yield running


def test_we_show_a_certificate(
    strict: Server, authority: Authority, env: dict[str, str | None], tmp_path: Path
) -> None:
    own = authority.certify("client.example.org", tmp_path / "own.pem")
    key = tmp_path / "key.pem"
    key.write_text(own.read_text().partition("-----END CERTIFICATE-----\n")[2])
    bare = tmp_path / "bare.pem"
    bare.write_text(own.read_text().partition("-----BEGIN PRIVATE KEY-----")[0])
    known = Result(5, b"client.example.org\n", b"")
    assert client(strict, {**env, "CERTFILE": str(own)}) == known
    assert client(strict, {**env, "CERTFILE": str(bare), "KEYFILE": str(key)}) == known
    assert client(strict, env, "-c", str(bare), "-k", str(key)) == known


def test_it_is_said_when_the_server_wants_a_certificate_that_we_have_not(
    strict: Server, env: dict[str, str | None]
) -> None:
    program = ("sh", "-c", "cat <&6; exit 3")
    warning = b"sslclient: warning: TLS has ended: tlsv13 alert certificate required\n"
    assert client(strict, env, program=program) == (3, b"", warning)
    assert client(strict, env, "-q", program=program).err == b""


@pytest.mark.parametrize(
    ("option", "content", "why"),
    [
        ("-a", None, "unable to use certificates in {}: file does not exist"),
        ("-a", "nonsense", "unable to use certificates in {}: no certificate or crl found"),
        ("-c", None, "unable to use certificate in {}: file does not exist"),
        ("-c", "nonsense", "unable to use certificate in {}: it lacks the certificate or the key, in PEM"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_temporary_trouble(
    option: str, content: str | None, why: str, server: Server, env: dict[str, str | None], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    if content:
        file.write_text(content)
    expected = f"sslclient: fatal: {why.format(file)}\n"
    assert client(server, env, option, str(file)) == (111, b"", expected.encode())


# -- what the program is told ------------------------------------------------------------


def told(done: Result) -> dict[str, str]:
    assert done.code == 0, done
    return dict(line.split("=", 1) for line in done.out.decode().splitlines() if "=" in line)


@pytest.mark.parametrize("tcp", [True, False])
def test_the_environment_is_that_of_ucspi_ssl(tcp: bool, server: Server, env: dict[str, str | None]) -> None:
    inherited: dict[str, str | None] = {**env, "TCPREMOTEIP": "old", "SSLREMOTEHOST": "old"}
    found = told(client(server, inherited, "-e" if tcp else "-E", program=("env",)))
    assert (found["PROTO"], found["SSLREMOTEIP"], found["SSLLOCALHOST"]) == ("SSL", "127.0.0.1", "0")
    assert found["SSLREMOTEPORT"] == str(server.port)
    assert "SSLREMOTEHOST" not in found
    assert found.get("TCPREMOTEIP") == ("127.0.0.1" if tcp else None)
    assert not {"SSL_PROTOCOL", "TCP6REMOTEIP"} & set(found)


def test_the_program_is_told_about_the_server(server: Server, env: dict[str, str | None]) -> None:
    found = told(client(server, env, "-s", program=("env",)))
    assert (found["SSL_PROTOCOL"], found["SSL_SERVER_S_DN_CN"]) == ("TLSv1.3", NAME)
    assert found["SSL_SERVER_I_DN_CN"] == "Authority of the tests"
    assert not any(name.startswith("SSL_CLIENT_") for name in found)


def test_of_a_server_that_nobody_vouches_for_only_the_certificate_is_told(
    server: Server, env: dict[str, str | None]
) -> None:
    found = told(client(server, env, "-sX", program=("env",)))
    assert found["SSL_SERVER_VERIFY"] == "NONE"
    assert "SSL_SERVER_CERT" in found
    assert "SSL_SERVER_S_DN" not in found


def test_ciphers_can_be_chosen(certificate: Path, env: dict[str, str | None]) -> None:
    cipher = "ECDHE-ECDSA-AES256-GCM-SHA384"
    with openssl_server(certificate, "-tls1_2") as port:
        words = (NAME, str(port), "sh", "-c", "echo $SSL_PROTOCOL $SSL_CIPHER")
        for options in (["-z", cipher], []):
            chosen = {**env, "CIPHERS": None if options else cipher}
            done = run("sslclient", "-sRHl0", *options, *words, env=chosen)
            assert done == (0, f"TLSv1.2 {cipher}\n".encode(), b"")
        done = run("sslclient", "-sRHl0", "-z", "NONE-SUCH", *words, env=env)
        assert done == (111, b"", b"sslclient: fatal: unable to use ciphers NONE-SUCH: no cipher can be selected\n")


@contextmanager
def openssl_server(certificate: Path, *options: str) -> Iterator[int]:
    port = free_port()
    words = ("openssl", "s_server", "-quiet", "-accept", str(port), "-cert", str(certificate), *options)
    with subprocess.Popen(words, stdin=PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: reachable(port), what="openssl answers")
        yield port
        process.kill()


def reachable(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


# -- servers that do not speak TLS -------------------------------------------------------


def test_a_server_that_does_not_speak_tls_is_not_spoken_with(env: dict[str, str | None]) -> None:
    with Peer([b"220 hello\r\n"]) as peer:
        done = run("sslclient", "-RHl0", NAME, str(peer.port), "echo", "run", env=env)
    assert done == (111, b"", b"sslclient: fatal: unable to start TLS: wrong version number\n")


def test_a_server_that_leaves_is_not_spoken_with(env: dict[str, str | None]) -> None:
    with Peer(["close"]) as peer:
        done = run("sslclient", "-RHl0", NAME, str(peer.port), "echo", "run", env=env)
    assert (done.code, done.out) == (111, b"")
    assert done.err.startswith(b"sslclient: fatal: unable to ")


def test_a_server_that_does_not_shake_hands_is_given_up(env: dict[str, str | None]) -> None:
    with Peer([STALL]) as peer:
        done = run("sslclient", "-RHl0", "-T1", NAME, str(peer.port), "echo", "run", env=env)
    assert done == (111, b"", b"sslclient: fatal: unable to start TLS: timed out\n")


def test_no_server_is_told_as_by_tcpclient(env: dict[str, str | None]) -> None:
    port = free_port()
    line = f"sslclient: unable to connect to 127.0.0.1 port {port}: connection refused\n"
    assert run("sslclient", "-RHl0", NAME, str(port), "true", env=env) == (111, b"", line.encode())
    done = run("sslclient", "-Z")
    assert (done.code, done.err.splitlines()[1][:29]) == (100, b"sslclient: usage: sslclient [")


def test_verbose_is_verbose(server: Server, env: dict[str, str | None]) -> None:
    assert client(server, env, "-v").err.decode() == f"sslclient: connected to 127.0.0.1 port {server.port}\n"
