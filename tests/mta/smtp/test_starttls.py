"""STARTTLS: qmail-smtpd below tcpserver --starttls, and real clients."""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority import Authority
from receiving import MESSAGE, Home
from siege import Served, reset, unharmed
from tcp import Server, rest
from tlsclient import over

GREETING = b"220 heaven.af.mil ESMTP\r\n"
READY = b"220 ready for TLS\r\n"
USUAL = b"250-heaven.af.mil\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
OFFERED = b"250-heaven.af.mil\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.certify("mail.example.org")


@pytest.fixture
def server(home: Home, certificate: Path) -> Iterator[Server]:
    env = {"QMAILHOME": home.env["QMAILHOME"], "QMAILQUEUE": home.env["QMAILQUEUE"], "CERTFILE": str(certificate)}
    with Server("qmail-smtpd", options=["-vRHl", "mx.af.mil", "--starttls"], env=env) as running:
        yield running


def heard(client: socket.socket, end: bytes) -> bytes:
    """What comes from *client*, up to *end*."""
    text = b""
    while not text.endswith(end):
        more = client.recv(1 if text else len(end))
        assert more, text
        text += more
    return text


def secured(plain: socket.socket, authority: Authority, say: bytes = b"STARTTLS\r\n") -> ssl.SSLSocket:
    """The client *plain*, which says the last before TLS."""
    plain.sendall(say)
    assert heard(plain, READY).endswith(READY)
    return over(plain, authority)


def test_a_message_comes_in_over_tls(server: Server, home: Home, authority: Authority) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, "friend.example") as client:
        client.ehlo()
        assert client.has_extn("starttls")
        context = ssl.create_default_context(cafile=str(authority.file))
        context.check_hostname = False  # it is the number of the host that smtplib has been given
        assert client.starttls(context=context) == (220, b"ready for TLS")
        client.ehlo()
        assert not client.has_extn("starttls")
        client.sendmail("joe@irs.gov", ["bill@heaven.af.mil"], b"Subject: x\r\n\r\nhello\r\n")
    assert home.envelope() == b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0\0"
    first, second, *others = home.message().split(b"\n")
    assert first == b"Received: from unknown (HELO friend.example) (127.0.0.1)"
    assert second.startswith(b"  by mx.af.mil with ESMTPS; ")
    assert others == [b"Subject: x", b"", b"hello", b""]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_gets_through(server: Server, authority: Authority) -> None:
    words = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{server.port}", "-quiet", "-crlf"]
    words += ["-CAfile", str(authority.file), "-verify_return_error"]
    done = subprocess.run(words, input=b"NOOP\nQUIT\n", capture_output=True, check=False, timeout=30)
    assert done.stdout.endswith(b"250 ok\r\n221 heaven.af.mil\r\n")


def test_without_tls_all_is_as_ever_but_the_offer(server: Server, home: Home) -> None:
    with server.connect() as client:
        client.sendall(b"EHLO x\r\n" + MESSAGE)
        assert rest(client).startswith(GREETING + OFFERED + b"250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok ")
    assert b"  by mx.af.mil with SMTP; " in home.message()


def test_where_nobody_speaks_tls_it_is_neither_offered_nor_known(home: Home) -> None:
    said = GREETING + USUAL + b"502 unimplemented (#5.5.1)\r\n221 heaven.af.mil\r\n"
    for variables in {}, {"SSLCTLFD": "3", "SSLREADFD": "4"}, {"SSLCTLFD": "x", "SSLREADFD": "4", "SSLWRITEFD": "4"}:
        assert home.smtpd(b"EHLO x\r\nSTARTTLS\r\nQUIT\r\n", **variables) == (0, said, b"")


def test_all_that_was_said_before_is_forgotten(server: Server, home: Home, authority: Authority) -> None:
    before = b"EHLO liar.example\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<bill@heaven.af.mil>\r\nSTARTTLS\r\n"
    with server.connect() as plain, secured(plain, authority, before) as client:
        client.sendall(b"RCPT TO:<bill@heaven.af.mil>\r\nDATA\r\n" + MESSAGE)
        said = rest(client)
    assert said.startswith(b"503 MAIL first (#5.5.1)\r\n" * 2 + b"250 ok\r\n" * 2 + b"354 go ahead\r\n")
    assert home.envelope() == b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0\0"
    assert home.message().startswith(b"Received: from unknown (127.0.0.1)\n  by mx.af.mil with SMTP; ")  # RFC 3848


@pytest.mark.parametrize("added", [b"NOOP\r\n", b"EHLO x\r\n" + MESSAGE, b"MAIL FROM:<e", b"\n", b"\x16\x03\x01"])
def test_what_is_sent_along_with_starttls_is_thrown_away(
    added: bytes, server: Server, home: Home, authority: Authority
) -> None:
    with server.connect() as plain, secured(plain, authority, b"NOOP\r\nSTARTTLS\r\n" + added) as client:
        client.sendall(b"NOOP\r\nQUIT\r\n")
        assert rest(client) == b"250 ok\r\n221 heaven.af.mil\r\n"
    assert not list(home.queued.iterdir())


def test_what_is_sent_in_the_clear_later_is_no_command_either(server: Server, home: Home) -> None:
    with server.connect() as client:
        assert client.recv(100) == GREETING
        client.sendall(b"STARTTLS\r\n")
        assert client.recv(100) == READY
        client.sendall(MESSAGE)
        assert b"250" not in rest(client)
    server.logged("tcpserver: warning: dropping connection, unable to accept TLS: ")
    server.logged("status: 0/40", 2)
    assert not list(home.queued.iterdir())
    assert "bug" not in server.log()


def test_a_client_that_leaves_instead_of_shaking_hands_leaves_nothing(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"STARTTLS\r\n")
        assert heard(client, READY).endswith(READY)
    server.logged("status: 0/40", 2)
    assert "bug" not in server.log()


def test_tls_starts_once_and_without_parameters(server: Server, authority: Authority) -> None:
    with server.connect() as plain:
        plain.sendall(b"STARTTLS now\r\nstarttls x\r\n")
        refused = b"501 STARTTLS takes no parameters (#5.5.4)\r\n"
        assert heard(plain, 2 * refused) == GREETING + 2 * refused
        with secured(plain, authority, b"starttls\r\n") as client:
            client.sendall(b"EHLO x\r\nSTARTTLS\r\nQUIT\r\n")
            assert rest(client) == USUAL + b"502 unimplemented (#5.5.1)\r\n221 heaven.af.mil\r\n"


def test_the_next_client_begins_without_tls(server: Server, authority: Authority) -> None:
    for _ in range(3):
        with server.connect() as plain, secured(plain, authority) as client:
            client.sendall(b"QUIT\r\n")
            assert rest(client) == b"221 heaven.af.mil\r\n"
        assert server.ask(say=b"EHLO x\r\nQUIT\r\n") == GREETING + OFFERED + b"221 heaven.af.mil\r\n"
    assert len(set(server.pids())) < 6  # workers were used again


def test_a_client_that_stalls_is_told_so_over_tls(server: Server, home: Home, authority: Authority) -> None:
    home.control(timeoutsmtpd="1")
    with server.connect() as plain, secured(plain, authority) as client:
        assert rest(client) == b"451 timeout (#4.4.2)\r\n"


def test_a_program_in_place_of_the_queue_hears_about_tls(server: Server, home: Home, authority: Authority) -> None:
    told = home.folder / "told"
    (home.folder / "capture").write_text(
        f'#!/bin/sh\ncat >/dev/null; cat <&1 >/dev/null\necho "$SSL_PROTOCOL" >{told}\n'
    )
    with server.connect() as plain, secured(plain, authority) as client:
        client.sendall(MESSAGE)
        assert b"250 ok 1" in rest(client)
    assert told.read_text() == "TLSv1.3\n"


def test_where_the_speaker_is_gone_the_client_is_left(home: Home) -> None:
    control, speaker = socket.socketpair()
    speaker.close()
    with control:
        for descriptor in control.fileno(), 999_999:
            variables = {"SSLCTLFD": str(descriptor), "SSLREADFD": "9", "SSLWRITEFD": "9"}
            done = home.smtpd(b"STARTTLS\r\n" + MESSAGE, pass_fds=(control.fileno(),), **variables)
            assert done == (1, GREETING + READY, b"")


def test_hundreds_who_misuse_starttls_do_the_server_no_harm(server: Server, home: Home, authority: Authority) -> None:
    served = Served(("qmail-smtpd",), {}, b"QUIT\r\n", GREETING + b"221 heaven.af.mil\r\n")
    with unharmed(server, served):
        for number in range(200):
            client = server.connect()
            if number % 4 == 0:  # leaves at once
                client.sendall(b"STARTTLS\r\n")
                reset(client)
            elif number % 4 == 1:  # goes on in the clear
                client.sendall(b"STARTTLS\r\n" + MESSAGE)
                assert heard(client, READY)
                client.sendall(MESSAGE)
                rest(client)
                client.close()
            elif number % 4 == 2:  # says half a hello
                client.sendall(b"STARTTLS\r\n")
                assert heard(client, READY)
                client.sendall(b"\x16\x03\x01\x02\x00\x01")
                reset(client)
            else:  # goes in the middle of a message
                with secured(client, authority) as speaking:
                    speaking.sendall(MESSAGE[:-20])
                    reset(speaking)
    assert not [file for file in home.queued.iterdir() if file.read_bytes()]


def test_a_large_message_comes_whole_over_tls(server: Server, home: Home, authority: Authority) -> None:
    lines = b"\r\n".join(b"%d" % number * 9 for number in range(50_000))
    with server.connect() as plain, secured(plain, authority) as client:
        client.sendall(MESSAGE.replace(b"hello", lines))
        assert b"250 ok 1" in rest(client)
    assert home.message().endswith(b"\n\n" + lines.replace(b"\r\n", b"\n") + b"\n")
