"""Between a client that speaks TLS and a program that does not."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from authority import Authority

from supervise.errors import Temporary
from ucspi.tls.certificates import Certificates
from ucspi.tls.relay import Ended, Relay

LARGE = os.urandom(1 << 20)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    file = authority.certify("mail.example.org")
    return Certificates({b"CERTFILE": bytes(file)}, False, False, print).context


class Between:
    """A relay in a thread; *client* and *program* are the sockets at its ends, *trouble* what it raised."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.client, outside = socket.socketpair()
        self.program, inside = socket.socketpair()
        self.trouble: Exception | None = None
        for end in (self.client, self.program):
            end.settimeout(20)
        self.relay = Relay(context, outside, inside)
        self.thread = threading.Thread(target=self.run, args=(outside, inside))
        self.thread.start()

    def run(self, outside: socket.socket, inside: socket.socket) -> None:
        with outside, inside:
            try:
                self.relay.shake_hands(20)
                self.relay.pass_on(20)
            except (Ended, Temporary) as trouble:
                self.trouble = trouble

    def end(self) -> Exception | None:
        """Wait for its end; what it raised."""
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.trouble

    def speak(self, authority: Authority) -> ssl.SSLSocket:
        """The client, once it has shaken hands."""
        context = ssl.create_default_context(cafile=str(authority.file))
        return context.wrap_socket(self.client, server_hostname="mail.example.org")


@pytest.fixture
def between(context: ssl.SSLContext) -> Iterator[Between]:
    between = Between(context)
    yield between
    between.client.close()
    between.program.close()
    between.end()


def test_bytes_go_both_ways(between: Between, authority: Authority) -> None:
    client = between.speak(authority)
    client.sendall(b"EHLO there\r\n")
    assert between.program.recv(100) == b"EHLO there\r\n"
    between.program.sendall(b"250 here\r\n")
    assert client.recv(100) == b"250 here\r\n"


def end_input(client: ssl.SSLSocket) -> None:
    """Have the client send no more, without a word in TLS."""
    socket.socket.shutdown(client, socket.SHUT_WR)


def everything(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(65536), b""))


def test_much_goes_both_ways_at_once(between: Between, authority: Authority) -> None:
    client = between.speak(authority)
    heard: list[bytes] = []
    program = threading.Thread(target=lambda: heard.append(everything(between.program)))
    program.start()
    telling = threading.Thread(target=lambda: between.program.sendall(LARGE))
    telling.start()
    client.sendall(LARGE)
    received = b""
    while len(received) < len(LARGE):
        received += client.recv(65536)
    assert received == LARGE
    end_input(client)
    program.join(20)
    telling.join(20)
    assert heard == [LARGE]


def test_the_end_of_the_program_is_the_end_for_the_client(between: Between, authority: Authority) -> None:
    client = between.speak(authority)
    between.program.sendall(LARGE[:100_000])
    between.program.close()
    assert everything(client) == LARGE[:100_000]
    assert between.end() is None


def test_the_end_of_the_client_is_an_end_of_input_and_it_hears_the_answer(
    between: Between, authority: Authority
) -> None:
    client = between.speak(authority)
    client.sendall(b"QUIT\r\n")
    end_input(client)
    assert everything(between.program) == b"QUIT\r\n"
    between.program.sendall(b"221 bye\r\n")
    between.program.close()
    assert everything(client) == b"221 bye\r\n"


def test_a_client_that_is_gone_ends_the_programs_input(between: Between, authority: Authority) -> None:
    between.speak(authority).close()
    assert everything(between.program) == b""


def test_who_does_not_read_is_not_read_from(between: Between, authority: Authority) -> None:
    client = between.speak(authority)
    client.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            sent += client.send(LARGE)
    assert len(between.relay.to_program) < 1 << 18


@pytest.mark.parametrize("said", [b"EHLO there\r\n" * 9, b"\x16\x03\x01\xff\xff" + bytes(100), LARGE])
def test_nonsense_is_refused(said: bytes, between: Between) -> None:
    try:
        between.client.sendall(said)
    except OSError:
        pass
    trouble = between.end()
    assert isinstance(trouble, Temporary)
    assert trouble.line.startswith(b"unable to accept TLS: ")


def test_a_client_that_goes_before_it_has_shaken_hands_is_let_go(between: Between) -> None:
    between.client.sendall(b"\x16\x03\x01")
    between.client.close()
    assert isinstance(between.end(), Ended)
    assert between.program.recv(1) == b""


def test_a_client_that_says_nothing_is_given_up(context: ssl.SSLContext) -> None:
    (client, outside), (program, inside) = socket.socketpair(), socket.socketpair()
    with client, outside, program, inside:
        with pytest.raises(Temporary) as caught:
            Relay(context, outside, inside).shake_hands(0.1)
        assert caught.value.line == b"unable to accept TLS: timed out"
        program.close()
        with pytest.raises(Ended):  # nobody is there any more to speak with
            Relay(context, outside, inside).shake_hands(20)


@pytest.mark.filterwarnings("ignore:.*TLSv1_1:DeprecationWarning")
def test_old_versions_are_not_spoken(between: Between, authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(between.client)
    assert isinstance(between.end(), Temporary)


def certificate_for(certificates: Certificates, authority: Authority, name: str) -> str:
    """The name in the certificate that a client gets which asks for *name*."""
    between = Between(certificates.context)
    context = ssl.create_default_context(cafile=str(authority.file))
    context.check_hostname = False
    with context.wrap_socket(between.client, server_hostname=name or None) as client:
        found = client.getpeercert()
    between.program.close()
    between.end()
    assert found
    return str(dict(pair for (pair,) in found["subject"])["commonName"])


def test_a_client_gets_the_certificate_for_the_name_that_it_asks_for(authority: Authority, tmp_path: Path) -> None:
    default = authority.certify("default.example.org")
    for name in ("mail.example.org", "*.example.net"):
        authority.certify(name, tmp_path / f"{name}.pem")
    variables = {b"CERTFILE": bytes(default), b"CERTDIR": bytes(tmp_path)}
    certificates = Certificates(variables, False, False, print)
    found = {name: certificate_for(certificates, authority, name) for name in NAMES}
    assert found == NAMES


NAMES = {
    "mail.example.org": "mail.example.org",
    "MAIL.example.org": "mail.example.org",
    "any.example.net": "*.example.net",
    "two.any.example.net": "default.example.org",
    "example.net": "default.example.org",
    "other.example.org": "default.example.org",
    "": "default.example.org",
}


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "/etc/secret", "a/b", "\0", "x" * 5000])
def test_no_name_leads_out_of_the_folder(name: str, authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    authority.certify("secret.example.org", tmp_path / "secret.pem")
    default = authority.certify("default.example.org")
    certificates = Certificates({b"CERTFILE": bytes(default), b"CERTDIR": bytes(folder)}, False, False, print)
    asking = SimpleNamespace(context=certificates.context)
    certificates.choose(asking, name, certificates.context)  # type: ignore[arg-type]
    assert asking.context is certificates.context


def test_a_new_certificate_is_used_from_then_on(authority: Authority, tmp_path: Path) -> None:
    file = authority.certify("old.example.org", tmp_path / "here.pem")
    said: list[bytes] = []
    certificates = Certificates({b"CERTFILE": bytes(file)}, False, False, said.append)
    assert certificate_for(certificates, authority, "") == "old.example.org"
    numbers = [certificates.renew()]
    for change in (
        lambda: authority.certify("new.example.org", file),
        lambda: None,
        lambda: file.write_text("nonsense"),
        lambda: None,
        file.unlink,
    ):
        change()
        numbers.append(certificates.renew())
        assert certificate_for(certificates, authority, "") == "new.example.org"
    assert numbers == [0, 1, 1, 2, 2, 3]
    assert [b", so what was there before is used" in line for line in said] == [True, True]


def test_the_folder_is_followed_and_what_is_wrong_in_it_hurts_nobody_else(authority: Authority, tmp_path: Path) -> None:
    default = authority.certify("default.example.org")
    folder = tmp_path / "folder"
    folder.mkdir()
    said: list[bytes] = []
    variables = {b"CERTFILE": bytes(default), b"CERTDIR": bytes(folder)}
    certificates = Certificates(variables, False, False, said.append)

    def names() -> list[str]:
        certificates.renew()
        return [certificate_for(certificates, authority, f"{name}.example.org") for name in ("one", "two")]

    assert names() == ["default.example.org"] * 2
    authority.certify("one.example.org", folder / "one.example.org.pem")
    (folder / "two.example.org.pem").write_text("nonsense")
    (folder / "README").write_text("no certificate, and not meant to be one")
    assert names() == ["one.example.org", "default.example.org"]
    assert said == [
        b"unable to use certificate in %s/two.example.org.pem: it lacks the certificate or the key, in PEM"
        % bytes(folder)
    ]
    authority.certify("two.example.org", folder / "two.example.org.pem")
    assert names() == ["one.example.org", "two.example.org"]
    (folder / "one.example.org.pem").unlink()
    assert names() == ["default.example.org", "two.example.org"]
    folder.rename(tmp_path / "elsewhere")
    assert names() == ["default.example.org", "two.example.org"]


def test_the_secret_behind_what_clients_take_up_again_lives_for_a_day(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates({b"CERTFILE": bytes(authority.certify("mail.example.org"))}, False, False, print)
    now, context = time.time(), certificates.context
    certificates.renew()
    assert certificates.context is context
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    certificates.renew()
    assert certificates.context is not context


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, b"unable to use certificate in %s: file does not exist"),
        (b"nonsense", b"unable to use certificate in %s: "),
    ],
)
def test_a_certificate_that_is_none_is_refused(content: bytes | None, line: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Temporary) as caught:
        Certificates({b"CERTFILE": bytes(file)}, False, False, print)
    assert caught.value.line.startswith(line % bytes(file))
