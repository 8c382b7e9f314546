"""qmail-remote against servers that behave, that do not, and that are real."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, environment, run
from peer import CLOSE, RESET, STALL, Peer, Step, Until
from until import until

SINK = "/usr/sbin/smtp-sink"
LINE = Until(b"\r\n")
GOOD: list[Step] = [
    b"220 hi\r\n", LINE, b"250 helo\r\n", LINE, b"250 sender\r\n", LINE, b"250 rcpt\r\n", LINE, b"354 go\r\n",
    Until(b"\r\n.\r\n"), b"250 taken\r\n",
]  # fmt: skip
SAID = b"HELO me.example\r\nMAIL FROM:<joe@x>\r\nRCPT TO:<bill@y>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n"
LETTER = b"Subject: x\n\nhello\n"
ACCEPTED = b"r\0K127.0.0.1 accepted message.\nRemote host said: 250 taken\n\0"
DIED = b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n\0"
DUPLICATE = b"r\0ZConnected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n\0"
NO_CONNECTION = b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0"


def remote(
    home: Path,
    port: int,
    *recipients: str,
    letter: bytes = LETTER,
    relay: str = "127.0.0.1",
    sender: str = "joe@x",
    **env: str,
) -> bytes:
    """The reports of qmail-remote, all mail going to *relay* and *port*."""
    (home / "control/smtproutes").write_text(f":{relay}:{port}\n")
    done = run("qmail-remote", "y", sender, *(recipients or ("bill@y",)), input=letter, env=env)
    assert (done.code, done.err) == (0, b"")
    return done.out


def test_a_message_is_handed_over(home: Path) -> None:
    with Peer(GOOD) as peer:
        assert remote(home, peer.port) == ACCEPTED
    assert peer.heard == [SAID]


def test_it_goes_over_ipv6_too(home: Path) -> None:
    with Peer(GOOD, GOOD, host="::1") as peer:
        for relay in "[::1]", "[IPv6:::1]":
            assert remote(home, peer.port, relay=relay) == ACCEPTED.replace(b"127.0.0.1", b"::1")
    assert peer.heard == [SAID, SAID]


# -- servers that vanish -----------------------------------------------------------------

PLACES = [
    (GOOD[:0], DIED),
    ([b"22"], DIED),
    (GOOD[:1], DIED),
    (GOOD[:2], DIED),
    ([*GOOD[:2], b"250-half\r\n"], DIED),
    ([*GOOD[:2], b"250-half\r\n25"], DIED),
    (GOOD[:3], DIED),
    (GOOD[:4], DIED),
    (GOOD[:5], DIED),
    (GOOD[:6], DIED),
    (GOOD[:7], b"r\0" + DIED),
    (GOOD[:8], b"r\0" + DIED),
    (GOOD[:10], DUPLICATE),
    ([*GOOD[:10], b"250 ta"], DUPLICATE),
    ([*GOOD[:10], b"250-taken\r\n"], DUPLICATE),
]


@pytest.mark.parametrize(("script", "reports"), PLACES)
@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_server_that_vanishes_defers_the_message(home: Path, script: list[Step], reports: bytes, end: str) -> None:
    with Peer([*script, end]) as peer:
        assert remote(home, peer.port) == reports


def test_a_server_that_stalls_defers_the_message(home: Path) -> None:
    (home / "control/timeoutremote").write_text("1\n")
    heard: dict[int, bytes] = {}

    def one(place: int, script: list[Step], port: int) -> None:
        (home / f"{place}/control").mkdir(parents=True)
        for name in "me", "timeoutremote":
            (home / f"{place}/control/{name}").write_bytes((home / "control" / name).read_bytes())
        heard[place] = remote(home / str(place), port, QMAILHOME=str(home / str(place)))

    peers = [Peer([*script, STALL]) for script, _ in PLACES]
    threads = []
    for place, (peer, (script, _)) in enumerate(zip(peers, PLACES, strict=True)):
        peer.__enter__()
        threads.append(threading.Thread(target=one, args=(place, script, peer.port)))
        threads[-1].start()
    for thread, peer in zip(threads, peers, strict=True):
        thread.join()
        peer.__exit__(None, None, None)
    assert heard == {place: reports for place, (_, reports) in enumerate(PLACES)}


def test_a_server_that_stops_reading_in_mid_message_defers_it(home: Path) -> None:
    (home / "control/timeoutremote").write_text("1\n")
    with Peer([*GOOD[:9], STALL]) as peer:
        assert remote(home, peer.port, letter=b"x" * 20_000_000 + b"\n") == b"r\0" + DIED


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_once_a_message_is_accepted_nothing_can_undo_it(home: Path, end: str) -> None:
    with Peer([*GOOD, end]) as peer:
        assert remote(home, peer.port) == ACCEPTED


def test_a_server_that_leaves_in_mid_message_defers_it(home: Path) -> None:
    with Peer([*GOOD[:9], Until(b"xxx"), RESET]) as peer:
        assert remote(home, peer.port, letter=(b"x" * 99 + b"\n") * 100_000) == b"r\0" + DIED


# -- messages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "letter", [b"a\r.\nRSET\nb\n", b"a\r.\r\nRSET\nb\n", b"a\n.\rRSET\nb\n", b"a\r\n.\r\nRSET\nb\n"]
)
def test_a_message_cannot_smuggle_commands(home: Path, letter: bytes) -> None:
    with Peer(GOOD) as peer:
        assert remote(home, peer.port, letter=letter) == ACCEPTED
    assert peer.heard[0].endswith(b"DATA\r\na\r\n..\r\nRSET\r\nb\r\n.\r\nQUIT\r\n")


def test_of_a_message_without_a_last_line_end_nothing_is_believed(home: Path) -> None:
    with Peer(GOOD) as peer:
        reports = remote(home, peer.port, letter=b"a\nb")
    assert reports == b"r\0DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n\0"
    assert peer.heard[0].endswith(b"DATA\r\n")


def test_a_message_that_cannot_be_read_is_deferred(home: Path) -> None:
    with Peer(GOOD) as peer, open(home / "message", "wb") as unreadable:
        (home / "control/smtproutes").write_text(f":127.0.0.1:{peer.port}\n")
        words = [BIN / "qmail-remote", "y", "joe@x", "bill@y"]
        done = subprocess.run(words, stdin=unreadable, stdout=subprocess.PIPE, env=environment(), check=True)
    assert done.stdout == b"r\0ZUnable to read message. (#4.3.0)\n\0"
    assert peer.heard[0].endswith(b"DATA\r\n")


# -- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["joe\n@x", "joe@x\r\nRSET", "a\rb@x", "\n"])
def test_an_address_with_a_line_end_is_refused(home: Path, bad: str) -> None:
    with Peer(GOOD) as peer:
        reports = remote(home, peer.port, bad, "bill@y")
        assert reports.startswith(b"hI cannot send mail to an address with a line end in it. (#5.1.3)\n\0r\0K")
        reports = remote(home, peer.port, sender=bad)
        assert reports == b"DI cannot send mail from an address with a line end in it. (#5.1.7)\n\0"
    assert peer.heard == [SAID]


def test_a_name_from_a_file_with_crlf_is_sent_without_cr(home: Path) -> None:
    (home / "control/me").write_bytes(b"me.example\r\n")
    with Peer(GOOD) as peer:
        assert remote(home, peer.port) == ACCEPTED
    assert peer.heard == [SAID]


# -- connections -------------------------------------------------------------------------


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a server that does not answer: the queue of its connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(8):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(server.getsockname())
            waiting.append(connection)
        yield server.getsockname()[1]
        for connection in waiting:
            connection.close()


def test_a_host_that_does_not_answer_is_remembered_and_then_left_alone(home: Path, full: int) -> None:
    (home / "control/timeoutconnect").write_text("1\n")
    table = home / "queue/lock/tcpto"
    assert remote(home, full) == NO_CONNECTION
    assert table.read_bytes()[:5] == b"\x7f\0\0\1\1"
    past = (int(time.time()) - 1000).to_bytes(4, "little")
    table.write_bytes(table.read_bytes()[:8] + past + bytes(1024 - 12))
    assert remote(home, full) == NO_CONNECTION
    assert table.read_bytes()[:5] == b"\x7f\0\0\1\2"
    (home / "control/timeoutconnect").write_text("1000\n")
    assert remote(home, full) == NO_CONNECTION  # at once


def test_a_host_that_was_dead_for_an_hour_is_tried_again_and_forgiven(home: Path) -> None:
    table = home / "queue/lock/tcpto"
    dead = b"\x7f\0\0\1\7\0\0\0"
    with Peer(GOOD) as peer:
        table.write_bytes(dead + int(time.time()).to_bytes(4, "little") + bytes(1024 - 12))
        assert remote(home, peer.port) == NO_CONNECTION
        table.write_bytes(dead + (int(time.time()) - 6000).to_bytes(4, "little") + bytes(1024 - 12))
        assert remote(home, peer.port) == ACCEPTED
    assert table.read_bytes()[:5] == b"\x7f\0\0\1\0"


def test_a_host_that_refuses_is_forgiven_too(home: Path) -> None:
    table = home / "queue/lock/tcpto"
    table.write_bytes(b"\x7f\0\0\1\1" + bytes(1024 - 5))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert remote(home, unused.getsockname()[1]) == NO_CONNECTION
    assert table.read_bytes()[:5] == b"\x7f\0\0\1\0"


def test_the_next_address_is_tried_when_one_refuses(home: Path, name_server: str) -> None:
    # here.example is 127.0.0.1 and ::1
    with Peer(GOOD, host="::1") as peer:
        assert remote(home, peer.port, relay="here.example", DNSCACHEIP=name_server).startswith(b"r\0K::1 accepted")


def test_what_the_first_who_talks_says_counts(home: Path, name_server: str) -> None:
    with Peer([b"554 no\r\n"]) as first, Peer(GOOD, host="::1", port=first.port) as second:
        reports = remote(home, first.port, relay="here.example", DNSCACHEIP=name_server)
        assert reports == b"ZConnected to 127.0.0.1 but greeting failed.\nRemote host said: 554 no\n\0"
    assert second.heard == []


# -- our own trouble ---------------------------------------------------------------------


def test_without_a_home_the_message_is_deferred(tmp_path: Path) -> None:
    done = run("qmail-remote", "y", "joe@x", "bill@y", env={"QMAILHOME": str(tmp_path / "none")})
    assert done == (0, b"ZUnable to switch to home directory. (#4.3.0)\n\0", b"")


@pytest.mark.parametrize("route", [":127.0.0.1:65536", ":[::1]:99999999999999999999999999"])
def test_a_port_that_is_none_defers_the_message(home: Path, route: str) -> None:
    (home / "control/smtproutes").write_text(route + "\n")
    done = run("qmail-remote", "y", "joe@x", "bill@y")
    assert done == (0, b"ZThere is a bad port number in my control/smtproutes file. (#4.3.5)\n\0", b"")


def test_a_failure_of_ours_defers_the_message(home: Path) -> None:
    with Peer(GOOD) as peer:
        (home / "control/smtproutes").write_text(f":127.0.0.1:{peer.port}\n")
        program = (
            "import sys; import mta.smtp.client as client; import mta.remote.remote as remote; client.converse = None; "
            "sys.exit(remote.main([b'qmail-remote', b'y', b'joe@x', b'bill@y']))"
        )
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment(), check=True)
    assert done.stdout.startswith(b"ZI (qmail-remote) have a bug: TypeError")
    assert done.stdout.endswith(b"\n\0")


# -- real peers and large messages -------------------------------------------------------


def listens(port: int) -> bool:
    """Whether somebody takes connections at *port*."""
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[int]:
    """The port of a running smtp-sink."""
    if not os.path.exists(SINK):
        pytest.skip("Postfix's smtp-sink is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = [SINK, *(["-u", "nobody"] if os.geteuid() == 0 else []), "-c", f"127.0.0.1:{port}", "100"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    until(lambda: listens(port), what="smtp-sink listens")
    yield port
    server.terminate()
    server.wait()


def test_a_real_server_takes_the_message(home: Path, sink: int) -> None:
    assert remote(home, sink, "a@y", "b@y", letter=b".\n..\n\n.x\n").startswith(b"r\0r\0K127.0.0.1 accepted message.\n")


def test_a_message_of_fifty_megabytes_takes_no_more_memory_than_a_small_one(home: Path, sink: int) -> None:
    (home / "control/smtproutes").write_text(f":127.0.0.1:{sink}\n")
    large = home / "message"
    line = b".a line of text that begins with a dot and ends as lines do under Unix\n"
    large.write_bytes(line * (50_000_000 // len(line)))
    program = (
        "import resource, sys; import mta.remote.remote as r; "
        "r.main([b'qmail-remote', b'y', b'joe@x', b'bill@y']); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak(message: Path) -> int:
        with open(message, "rb") as source:
            words = [sys.executable, "-c", program]
            done = subprocess.run(words, stdin=source, stdout=subprocess.PIPE, env=environment(), check=True)
        reports, _, kilobytes = done.stdout.rpartition(b"\0")
        assert reports.startswith(b"r\0K")
        return int(kilobytes)

    small = home / "small"
    small.write_bytes(line)
    assert peak(large) - peak(small) < 2048


# -- control/trace ---------------------------------------------------------------------------


def test_with_trace_a_report_of_success_names_the_addresses_that_were_tried_in_vain(
    home: Path, name_server: str
) -> None:
    (home / "control/trace").write_text("1\n")
    with Peer(GOOD, host="::1") as peer:
        reports = remote(home, peer.port, relay="here.example", DNSCACHEIP=name_server)
    accepted = ACCEPTED.replace(b"127.0.0.1", b"::1")
    assert reports == accepted[:-1] + b"Tried 127.0.0.1: connection refused.\n\0"


def test_with_trace_a_report_of_failure_names_every_address_and_what_is_the_matter(
    home: Path, name_server: str, full: int
) -> None:
    (home / "control/timeoutconnect").write_text("1\n")
    (home / "control/trace").write_text("1\n")
    refused = b"Tried ::1: connection refused.\n\0"
    for why in b"timed out", b"left alone, it timed out lately":
        reports = remote(home, full, relay="here.example", DNSCACHEIP=name_server)
        assert reports == NO_CONNECTION[:-1] + b"Tried 127.0.0.1: %s.\n" % why + refused
        past = (int(time.time()) - 1000).to_bytes(4, "little")
        (home / "queue/lock/tcpto").write_bytes(b"\x7f\0\0\1\2\0\0\0" + past + bytes(1024 - 12))


def test_with_trace_a_report_is_the_usual_one_where_the_first_address_answers(home: Path) -> None:
    (home / "control/trace").write_text("1\n")
    with Peer(GOOD) as peer:
        assert remote(home, peer.port) == ACCEPTED
