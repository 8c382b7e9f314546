"""tcpserver --tls and --starttls."""

from __future__ import annotations

import pwd
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import Authority
from services import children
from tcp import Server
from tlsclient import everything, over, speak
from until import until

from ucspi.tls.speakers import start


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.certify("mail.example.org")


@pytest.fixture
def server(certificate: Path, authority: Authority) -> Callable[..., Server]:
    def begin(*options: str, program: tuple[str, ...] = ("cat",), keyfile: str | None = None, **more: object) -> Server:
        env = {"CERTFILE": str(certificate), "CAFILE": str(authority.file)}
        env |= {} if keyfile is None else {"KEYFILE": keyfile}
        return Server(*program, options=["-vRHl0", *options], env=env, **more)  # type: ignore[arg-type]

    return begin


@pytest.mark.parametrize(
    "program", [("cat",), ("softlimit", "cat"), (sys.executable, "-c", "import os; os.write(1, os.read(0, 99))")]
)
def test_a_client_speaks_tls_and_the_program_does_not(
    program: tuple[str, ...], server: Callable[..., Server], authority: Authority
) -> None:
    with server("--tls", program=program) as running:
        for _ in range(3):
            with speak(running, authority) as client:
                client.sendall(b"hello\n")
                assert client.recv(100) == b"hello\n"
        until(lambda: running.log().endswith("tcpserver: status: 0/40\n"))


def test_the_banner_is_for_those_who_speak_tls(server: Callable[..., Server], authority: Authority) -> None:
    with server("--tls", "-B220 hello\r\n", program=("true",)) as running, speak(running, authority) as client:
        assert everything(client) == b"220 hello\r\n"


def test_the_program_has_nothing_but_its_connection(server: Callable[..., Server], authority: Authority) -> None:
    program = ("sh", "-c", "ls /proc/$$/fd; env | grep -E '^SSL(CTL|READ|WRITE|_PROT)'")
    with server("--tls", program=program) as running, speak(running, authority) as client:
        assert everything(client) == b"0\n1\n2\n"


def test_the_program_is_told_about_tls_if_it_is_to_be(
    server: Callable[..., Server], authority: Authority, tmp_path: Path
) -> None:
    own = authority.certify("client.example.org", tmp_path / "client.pem")
    options = ("--tls", "--tls-environment", "--client-certificate", "ask")
    with server(*options, program=("env",)) as running:
        with speak(running, authority, own) as client:
            told = dict(line.split("=", 1) for line in everything(client).decode().splitlines() if "=" in line)
            assert client.version() == told["SSL_PROTOCOL"] == "TLSv1.3"
        assert told["SSL_CIPHER"].startswith("TLS_")
        assert told["SSL_CLIENT_VERIFY"] == "SUCCESS"
        assert told["SSL_CLIENT_S_DN"] == "/CN=client.example.org/O=Tests"
        assert told["SSL_CLIENT_S_DN_CN"] == "client.example.org"
        assert told["SSL_CLIENT_I_DN_CN"] == "Authority of the tests"
        with speak(running, authority) as client:
            assert b"SSL_CLIENT_VERIFY=NONE\n" in everything(client)


def test_the_program_is_told_which_name_the_client_has_asked_for(
    server: Callable[..., Server], authority: Authority
) -> None:
    with server("--tls", "--tls-environment", program=("sh", "-c", 'echo "$SSL_TLS_SNI"')) as running:
        assert everything(speak(running, authority)) == b"mail.example.org\n"


def test_an_empty_keyfile_is_none(server: Callable[..., Server], authority: Authority) -> None:
    with server("--tls", keyfile="", program=("echo", "hello")) as running:
        assert everything(speak(running, authority)) == b"hello\n"


def test_a_client_without_a_certificate_is_denied_when_one_is_required(
    server: Callable[..., Server], authority: Authority, tmp_path: Path
) -> None:
    with server("--tls", "--client-certificate=require") as running:
        with pytest.raises(OSError), speak(running, authority) as client:  # ssl.SSLError, or a reset
            client.sendall(b"hello\n")
            assert client.recv(100)
        running.logged("tcpserver: warning: dropping connection, unable to accept TLS: ")
        other = Authority(tmp_path).certify("client.example.org")
        with pytest.raises(OSError), speak(running, authority, other) as client:
            client.sendall(b"hello\n")
            assert client.recv(100)
        own = authority.certify("client.example.org", tmp_path / "own.pem")
        with speak(running, authority, own) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"


def test_a_client_that_speaks_no_tls_is_dropped(server: Callable[..., Server]) -> None:
    with server("--tls") as running:
        with running.connect() as client:
            client.sendall(b"EHLO there\r\n" * 9)
            running.logged("tcpserver: warning: dropping connection, unable to accept TLS: ")
        running.logged("tcpserver: status: 0/40", 2)


STARTTLS = """
import os
os.write(1, b"220 ready\\n")
assert os.read(0, 99) == b"STARTTLS\\n"
os.write(1, b"220 go\\n")
control, reading, writing = (int(os.environ[name]) for name in ("SSLCTLFD", "SSLREADFD", "SSLWRITEFD"))
os.write(control, b"Y")
told = b""
while not told.endswith(b"\\0\\0"):
    more = os.read(control, 65536)
    assert more
    told += more
os.write(writing, told.split(b"\\0")[0] + b" " + os.read(reading, 99))
"""


def test_a_program_starts_tls_when_it_likes(server: Callable[..., Server], authority: Authority) -> None:
    with server("--starttls", program=(sys.executable, "-c", STARTTLS)) as running, running.connect() as plain:
        assert plain.recv(100) == b"220 ready\n"
        plain.sendall(b"STARTTLS\n")
        assert plain.recv(100) == b"220 go\n"
        with over(plain, authority) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"SSL_PROTOCOL=TLSv1.3 hello\n"


def test_a_program_need_not_start_tls(server: Callable[..., Server]) -> None:
    with server("--starttls") as running:
        assert running.ask(say=b"hello\n") == b"hello\n"
        running.logged("tcpserver: status: 0/40", 2)


def test_rules_deny_before_tls(server: Callable[..., Server], tmp_path: Path) -> None:
    subprocess.run(["tcprules", tmp_path / "r.cdb", tmp_path / "r.tmp"], input=b":deny\n", check=True)
    with server("--tls", "-x", str(tmp_path / "r.cdb")) as running:
        assert running.ask() == b""
        running.logged("tcpserver: deny ")


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"CERTFILE": None}, "tcpserver: fatal: CERTFILE is not set\n"),
        ({"CERTFILE": "/none"}, "tcpserver: fatal: unable to use certificate in /none: file does not exist\n"),
        ({"CIPHERS": "none"}, "tcpserver: fatal: unable to use ciphers none: no cipher can be selected\n"),
    ],
)
def test_certificates_that_are_none_are_refused(variables: dict[str, str | None], line: str, certificate: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        Server("cat", options=["--tls"], env={"CERTFILE": str(certificate), **variables})
    assert line in str(caught.value)


@pytest.mark.root
def test_the_key_is_for_those_alone_who_speak_tls(authority: Authority, tmp_path: Path) -> None:
    """Root reads it, now and when it changes; who can be spoken to over the network is not root."""
    tmp_path.chmod(0o700)
    certificate = authority.certify("mail.example.org", tmp_path / "mail.pem")
    user = pwd.getpwnam("qmaild")
    options = ["-vRHl0", "--tls", "-u", str(user.pw_uid), "-g", str(user.pw_gid)]
    with (
        Server("cat", options=options, env={"CERTFILE": str(certificate)}) as running,
        speak(running, authority) as one,
    ):
        one.sendall(b"hello\n")
        assert one.recv(100) == b"hello\n"
        family = descendants(running.pid)
        (nursery,) = [pid for pid in family if owner(pid) == 0]
        holders = {pid for pid in family if holds(pid, key_in(certificate))}
        assert holders
        assert holders <= set(descendants(nursery))
        assert {owner(pid) for pid in family if pid != nursery} == {user.pw_uid}
        old = serial(running, authority)
        authority.certify("mail.example.org", certificate)  # which no speaker that is there may read
        until(lambda: serial(running, authority) != old)
        certificate.write_text("nonsense")
        wrong = f"tcpserver: warning: unable to use certificate in {certificate}: "
        kept = ", so what was there before is used\n"
        missing = "it lacks the certificate or the key, in PEM"
        until(lambda: serial(running, authority) != old and wrong + missing + kept in running.log())
        certificate.unlink()
        until(lambda: serial(running, authority) != old and wrong + "file does not exist" + kept in running.log())
        assert "fatal" not in running.log()


@pytest.mark.root
def test_certificates_for_names_are_roots_too(authority: Authority, certificate: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    (folder / "mail.example.org.pem").write_bytes(certificate.read_bytes())
    user = pwd.getpwnam("qmaild")
    options = ["-vRHl0", "--tls", "-u", str(user.pw_uid), "-g", str(user.pw_gid)]
    other = authority.certify("other.example.org", tmp_path / "other.pem")
    with Server("cat", options=options, env={"CERTFILE": str(other), "CERTDIR": str(folder)}) as running:
        assert serial(running, authority)


def test_connections_without_tls_are_counted(
    server: Callable[..., Server], authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "metrics"
    with server("--tls", "--metrics", str(file)) as running, running.connect() as client:
        client.sendall(b"EHLO there\r\n" * 9)
        until(lambda: 'refused_total{reason="tls"} 1\n' in file.read_text())


def serial(server: Server, authority: Authority) -> str:
    """The number of the certificate that a client gets."""
    with speak(server, authority) as client:
        found = client.getpeercert()
        assert found
        return str(found["serialNumber"])


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def key_in(certificate: Path) -> bytes:
    """The secret of the key in *certificate*, as the library has it in memory: the lowest byte first."""
    text = subprocess.run(["openssl", "pkey", "-in", certificate, "-noout", "-text"], capture_output=True, check=True)
    (digits,) = re.findall(r"priv:\n([\s0-9a-f:]+)pub:", text.stdout.decode())
    return bytes.fromhex(re.sub(r"[\s:]", "", digits))[-32:][::-1]


def holds(pid: int, secret: bytes) -> bool:
    """Whether *secret* is in the memory of a process."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(word, 16) for word in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                memory.seek(begin)
                if secret in memory.read(end - begin):
                    return True
    return False


@pytest.mark.parametrize("heard", [0, 1])
def test_a_speaker_that_dies_has_started_nothing(heard: int) -> None:
    control, commands = socket.socketpair()
    with control:
        threading.Thread(target=lambda: (commands.recv(heard), commands.close())).start()
        assert start(control.fileno()) is None
