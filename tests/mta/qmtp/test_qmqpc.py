"""A message handed to another host by QMQP, as qmail-queue's callers do it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from capture import Home
from commands import BIN, run, start
from hurrying import hurried
from peer import CLOSE, RESET, STALL, Peer, Step, Until
from tcp import Server

from mta.qmtp.qmqpc import place_of
from mta.qmtp.spool import KEPT, Spool

MESSAGE = b"Subject: x\n\nhello\n"
ENVELOPE = b"Fjoe@heaven.af.mil\0Tbill@irs.gov\0Tsue@x.y\0\0"
PACKAGE = b"69:18:Subject: x\n\nhello\n,17:joe@heaven.af.mil,12:bill@irs.gov,7:sue@x.y,,"


class Sender:
    """A null client."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "control").mkdir(parents=True)
        self.env: dict[str, str | None] = {"QMAILHOME": str(home), "QMAILQUEUE": None}

    def servers(self, *ports: int) -> None:
        """Name the servers."""
        (self.home / "control" / "qmqpservers").write_text("".join(f"127.0.0.1:{port}\n" for port in ports))

    def send(
        self, message: bytes = MESSAGE, envelope: bytes = ENVELOPE, words: Sequence[str | Path] = (), **env: str
    ) -> tuple[int, bytes]:
        """What qmail-qmqpc, perhaps behind *words*, makes of a message: its exit code, what it says on descriptor 2."""
        (self.home / "message").write_bytes(message)
        (self.home / "envelope").write_bytes(envelope)
        with (
            open(self.home / "message", "rb") as given,
            open(self.home / "envelope", "rb") as addresses,
            open(self.home / "said", "wb") as said,
        ):
            more = {"stdin": given, "stdout": addresses, "stderr": said}
            process = start(*words, BIN / "qmail-qmqpc", env={**self.env, **env}, **more)
            code = process.wait()
        return code, (self.home / "said").read_bytes()


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    return Sender(tmp_path / "client")


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens, while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"13:Kok 1 qp 2345,", 0),
        (b"8:Znot now,", 71),
        (b"6:Dnever,", 31),
        (b"hello 1: Z", 71),  # the first letter of the three that comes
        (b"5:hello,", 74),
        (b"", 74),
    ],
)
def test_the_answer_is_the_exit_code(sender: Sender, answer: bytes, code: int) -> None:
    with Peer([Until(b",,"), answer, CLOSE]) as server:
        sender.servers(server.port)
        assert sender.send() == (code, b"")
    assert server.heard == [PACKAGE]


def test_servers_are_tried_in_their_order_until_one_is_there(sender: Sender, nobody: int) -> None:
    with Peer([Until(b",,"), b"K"], [Until(b",,"), b"K"]) as first, Peer([Until(b",,"), b"K"]) as second:
        sender.servers(nobody, first.port, second.port)
        assert sender.send()[0] == 0
        assert (len(first.heard), len(second.heard)) == (1, 0)


@pytest.mark.parametrize(
    "script", [[CLOSE], [RESET], [Until(b"69:"), RESET], [Until(b",,"), CLOSE], [Until(b",,"), b"Z"]]
)
def test_once_a_server_is_there_no_other_is_asked(sender: Sender, script: list[Step]) -> None:
    """It may have the message: another one would take it a second time."""
    with Peer(script) as first, Peer([Until(b",,"), b"K"]) as second:
        sender.servers(first.port, second.port)
        assert sender.send()[0] in (71, 74)
    assert second.heard == []


def test_a_server_that_dies_at_any_byte_has_accepted_nothing(sender: Sender) -> None:
    scripts: list[list[Step]] = [[Until(PACKAGE[:size]), CLOSE] for size in range(1, len(PACKAGE) + 1)]
    with Peer(*scripts) as server:
        sender.servers(server.port)
        assert {sender.send()[0] for _ in scripts} == {74}


def test_nobody_there_is_no_acceptance(sender: Sender, nobody: int) -> None:
    sender.servers(nobody, nobody)
    assert sender.send() == (73, b"")


def test_a_server_that_does_not_answer_is_left_for_the_next_one(tmp_path: Path) -> None:
    """Its backlog is full, so that the kernel drops what comes."""
    lonely, other = senders = [Sender(tmp_path / name) for name in ("lonely", "other")]
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, Peer([Until(b",,"), b"K"]) as server:
        port = deaf.getsockname()[1]
        lonely.servers(port)
        other.servers(port, server.port)
        with socket.create_connection(("127.0.0.1", port)), ThreadPoolExecutor(2) as both:
            assert list(both.map(Sender.send, senders)) == [(72, b""), (0, b"")]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (b"192.0.2.1", ("192.0.2.1", 628)),
        (b"192.0.2.1:1628", ("192.0.2.1", 1628)),
        (b"192.0.2.1 first floor", ("192.0.2.1", 628)),
        (b"192.0.2.1:", ("192.0.2.1", 628)),
        (b"192.0.2.1:99999", ("192.0.2.1", 628)),
        (b"192.000.2.01", ("192.0.2.1", 628)),
        (b"2001:db8::1", ("2001:db8::1", 628)),
        (b"[2001:db8::1]", ("2001:db8::1", 628)),
        (b"[2001:db8::1]:1628", ("2001:db8::1", 1628)),
        (b"mail.example", None),
        (b"192.0.2", None),
        (b"192.0.2.256", None),
        (b"[192.0.2.1", ("192.0.2.1", 628)),
        (b"", None),
    ],
)
def test_a_line_of_qmqpservers_is_an_address_and_perhaps_a_port(line: bytes, place: tuple[str, int] | None) -> None:
    assert place_of(line) == place


@pytest.mark.parametrize("text", [None, "", "# none yet\n", "mail.example\n"])
def test_without_a_server_s_address_nothing_is_accepted(sender: Sender, text: str | None) -> None:
    if text is not None:
        (sender.home / "control" / "qmqpservers").write_text(text)
    assert sender.send() == (55, b"")


def test_trouble_with_our_own_files_has_its_codes(sender: Sender) -> None:
    (sender.home / "control" / "qmqpservers").mkdir()
    assert sender.send() == (55, b"")
    assert sender.send(QMAILHOME="/nonexistent") == (61, b"")


@pytest.mark.parametrize(
    "envelope",
    [b"", b"\0", b"F", b"Fjoe", b"Fjoe\0", b"Fjoe\0Tbill\0", b"Tbill\0\0", b"Fjoe\0Xbill\0\0", b"Fjoe\0bill\0\0"],
)
def test_what_is_no_envelope_is_not_sent(sender: Sender, nobody: int, envelope: bytes) -> None:
    sender.servers(nobody)
    assert sender.send(envelope=envelope)[0] == 91


def test_an_address_without_end_is_not_waited_for(sender: Sender, nobody: int) -> None:
    sender.servers(nobody)
    assert sender.send(envelope=b"F" + b"x" * (4 << 20))[0] == 11


def test_a_message_that_cannot_be_read_is_not_sent(sender: Sender, nobody: int) -> None:
    sender.servers(nobody)
    with open(os.devnull, "wb") as unreadable:
        assert start("qmail-qmqpc", env=sender.env, stdin=unreadable, stdout=unreadable).wait() == 54


# -- large messages --------------------------------------------------------------------------


def test_a_large_message_and_very_many_recipients_arrive_whole_without_much_memory(
    home: Home, sender: Sender, tmp_path: Path
) -> None:
    message = bytes(range(256)) * (256 << 10)  # 64 MiB
    addresses = [b"u%d@mx.example" % number for number in range(200_000)]
    envelope = b"Fjoe\0" + b"".join(b"T%s\0" % address for address in addresses) + b"\0"
    with Server("qmail-qmqpd", env=home.env) as server:
        sender.servers(server.port)
        limited = (BIN / "softlimit", "-a", str(64 << 20))
        assert sender.send(message, envelope, words=limited, TMPDIR=str(tmp_path)) == (0, b"")
    assert home.queued() == [(message, envelope)]
    assert not list(tmp_path.glob("tmp*"))


def test_a_full_disk_is_a_reason_to_send_later(sender: Sender, nobody: int, tmp_path: Path) -> None:
    sender.servers(nobody)
    limited = ("sh", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$0"')
    assert sender.send(b"x" * (2 * KEPT), words=limited, TMPDIR=str(tmp_path)) == (53, b"")


def test_where_no_file_can_be_made_memory_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **words: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("tempfile.TemporaryFile", none)
    spool = Spool()
    for _ in range(5):
        spool.write(b"x" * KEPT)
    assert (spool.size, b"".join(spool.pieces())) == (5 * KEPT, b"x" * (5 * KEPT))


@pytest.mark.parametrize("size", [0, 1, KEPT, KEPT + 1, 3 * KEPT + 7])
def test_a_spool_has_what_was_written(size: int) -> None:
    spool = Spool()
    text = os.urandom(size)
    for at in range(0, size, 100_000):
        spool.write(text[at : at + 100_000])
    assert (spool.size, b"".join(spool.pieces())) == (size, text)


# -- as qmail-queue --------------------------------------------------------------------------


def null_client(sender: Sender) -> None:
    """Make its home that of a null client."""
    (sender.home / "bin").mkdir()
    (sender.home / "bin" / "qmail-queue").symlink_to(BIN / "qmail-qmqpc")
    (sender.home / "control" / "me").write_text("client.example\n")


def test_on_a_null_client_qmail_inject_sends_through_it(home: Home, sender: Sender) -> None:
    null_client(sender)
    with Server("qmail-qmqpd", env=home.env) as server:
        sender.servers(server.port)
        text = b"To: bill@irs.gov\nSubject: x\n\nhello\n"
        assert run("qmail-inject", "-fjoe@heaven.af.mil", input=text, env=sender.env) == (0, b"", b"")
    [(message, envelope)] = home.queued()
    assert envelope == b"Fjoe@heaven.af.mil\0Tbill@irs.gov\0\0"
    assert message.endswith(b"Subject: x\n\nhello\n")


def test_a_submission_server_in_the_home_does_not_stand_in_for_it(home: Home, sender: Sender) -> None:
    null_client(sender)
    (sender.home / "run").mkdir()
    with (
        socket.socket(socket.AF_UNIX) as other,
        Server("qmail-qmqpd", env=home.env) as server,
    ):
        other.bind(os.path.relpath(sender.home / "run" / "submit"))
        other.listen()
        sender.servers(server.port)
        assert run("qmail-inject", "bill@irs.gov", input=b"\nhello\n", env=sender.env).code == 0
    assert len(home.queued()) == 1


@pytest.mark.parametrize(("script", "text"), [([Until(b",,"), b"Dno"], b"permanently"), ([CLOSE], b"communication")])
def test_what_a_server_says_is_said_to_the_user(sender: Sender, script: list[Step], text: bytes) -> None:
    null_client(sender)
    with Peer(script) as server:
        sender.servers(server.port)
        code, _, err = run("qmail-inject", "bill@irs.gov", input=b"\nhello\n", env=sender.env)
    assert code and text in err


def test_a_server_that_falls_silent_has_accepted_nothing(sender: Sender) -> None:
    with Peer([Until(b",,"), STALL]) as server:
        sender.servers(server.port)
        (sender.home / "message").write_bytes(MESSAGE)
        (sender.home / "envelope").write_bytes(ENVELOPE)
        with open(sender.home / "message", "rb") as message, open(sender.home / "envelope", "rb") as envelope:
            more = {"stdin": message, "stdout": envelope}
            process = hurried("mta.qmtp.qmqpc", "mta.qmtp.qmqpc.ANSWERING", 1, ["qmqpc"], sender.env, **more)
        assert process.wait() == 74
