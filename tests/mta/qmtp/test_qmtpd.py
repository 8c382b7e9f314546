"""Mail by QMTP, as clients send it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys

import pytest
from capture import Home
from commands import Result, environment, run, start
from hurrying import hurried
from siege import SHAME, reset
from tcp import Server
from until import until

from mta.qmtp.netstrings import netstring
from mta.qmtp.qmtpd import main

HOST_REFUSED = b"66:Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1),"
UNFIT = b"46:Dsorry, I can't handle that recipient (#5.1.3),"


def package(message: bytes, sender: bytes, *recipients: bytes) -> bytes:
    """A message as QMTP has it; *message* with the byte that tells its line ends."""
    return netstring(message) + netstring(sender) + netstring(b"".join(map(netstring, recipients)))


HELLO = package(b"\nSubject: x\n\nhello\n", b"joe@irs.gov", b"bill@heaven.af.mil")


def qmtpd(home: Home, text: bytes, **env: str) -> Result:
    return run("qmail-qmtpd", input=text, env={**home.env, **env})


def masked(answers: bytes) -> bytes:
    return re.sub(rb"\d+:Kok \d+ qp \d+,", b"K,", answers)


def test_a_message_goes_into_the_queue(home: Home) -> None:
    code, out, err = qmtpd(home, HELLO)
    assert (code, err) == (0, b"")
    assert re.fullmatch(rb"(\d+):(Kok \d+ qp \d+),", out)
    assert home.queued() == [(b"Subject: x\n\nhello\n", b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0\0")]
    [message] = home.messages()
    assert message.startswith(b"Received: from client.example (192.0.2.7)\n  by mx.af.mil with QMTP; ")


def test_one_connection_brings_many_messages_and_answers_in_their_order(home: Home) -> None:
    count = 20
    text = b"".join(package(b"\n%d\n" % number, b"joe", b"x@else.where", b"bill") for number in range(count))
    assert masked(qmtpd(home, text).out) == (HOST_REFUSED + b"K,") * count
    assert len(home.queued()) == count


def test_each_recipient_has_an_answer_of_its_own(home: Home) -> None:
    recipients = [b"a@heaven.af.mil", b"b@else.where", b"c@mx.example", b"d\0@mx.example", b"e" * 1000, b"f", b"g@"]
    answers = b"K," + HOST_REFUSED + b"K," + UNFIT + UNFIT + b"K," + HOST_REFUSED
    assert masked(qmtpd(home, package(b"\nx\n", b"joe", *recipients)).out) == answers
    assert home.queued() == [(b"x\n", b"Fjoe\0Ta@heaven.af.mil\0Tc@mx.example\0Tf\0\0")]


def test_a_message_without_a_recipient_that_we_take_is_not_queued(home: Home) -> None:
    assert qmtpd(home, package(b"\nx\n", b"joe", b"b@else.where")).out == HOST_REFUSED
    assert qmtpd(home, package(b"\nx\n", b"joe")).out == b""
    assert home.queued() == []


def test_a_client_that_may_relay_sends_anywhere(home: Home) -> None:
    text = package(b"\nx\n", b"joe", b"b@else.where", b"c" * 994, b"d" * 993)
    assert masked(qmtpd(home, text, RELAYCLIENT="@gate.").out) == b"K," + UNFIT + b"K,"
    assert home.queued() == [(b"x\n", b"Fjoe\0Tb@else.where@gate.\0T" + b"d" * 993 + b"@gate.\0\0")]


def test_a_sender_that_no_envelope_can_have_is_refused_for_all_recipients(home: Home) -> None:
    for sender in b"x" * 1000, b"a\0b":
        answer = netstring(b"Dunacceptable sender (#5.1.7)")
        assert qmtpd(home, package(b"\nx\n", sender, b"bill", b"x@else.where")).out == answer + HOST_REFUSED
    assert home.queued() == []


@pytest.mark.parametrize("mark", [b"\n", b"\r"], ids=["unix", "dos"])
def test_a_message_may_have_databytes_bytes_and_no_more(home: Home, mark: bytes) -> None:
    line_end = b"\r\n" if mark == b"\r" else b"\n"
    for size, fits in (100, True), (101, False):
        message = mark + b"x" * (size - 1) + line_end
        answer = qmtpd(home, package(message, b"joe", b"bill"), DATABYTES="100").out
        assert masked(answer) == (
            b"K," if fits else netstring(b"Dsorry, that message size exceeds my databytes limit (#5.3.4)")
        )
    assert home.queued() == [(b"x" * 99 + b"\n", b"Fjoe\0Tbill\0\0")]


def test_cr_lf_becomes_lf_wherever_it_is_cut(home: Home) -> None:
    lines = b"".join(b"x" * number + b"\r\r\n" for number in range(500)) * 3  # more than one read
    assert masked(qmtpd(home, package(b"\r" + lines, b"joe", b"bill")).out) == b"K,"
    assert home.queued()[0][0] == lines.replace(b"\r\n", b"\n")


def test_a_message_may_have_any_bytes_and_any_size(home: Home) -> None:
    message = bytes(range(256)) * 20_000
    assert masked(qmtpd(home, package(b"\n" + message, b"", b"bill")).out) == b"K,"
    assert home.queued() == [(message, b"F\0Tbill\0\0")]


def test_half_a_million_recipients_need_no_memory(home: Home) -> None:
    home.take("cat >/dev/null; exec 3<&1; wc -c <&3 >{kept}/size; exec grep VmHWM /proc/$PPID/status >{kept}/memory")
    count = 500_000
    out = qmtpd(home, package(b"\nx\n", b"joe", *(b"%d@mx.example" % number for number in range(count)))).out
    assert masked(out) == b"K," * count
    size = sum(len(b"T%d@mx.example\0" % number) for number in range(count))
    assert int((home.kept / "size").read_text()) == len(b"Fjoe\0\0") + size
    assert int((home.kept / "memory").read_text().split()[1]) < 40 << 10


def test_a_client_that_leaves_in_the_middle_queues_nothing_and_does_no_harm(home: Home) -> None:
    for cut in range(len(HELLO)):
        assert qmtpd(home, HELLO[:cut])[0::2] == (0, b"")
    assert home.queued() == []


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"0:,",
        b"3:xx\n,",
        HELLO.replace(b",", b";", 1),
        HELLO[:-1] + b";",
        HELLO.replace(b"22:", b"21:"),
        HELLO + b"hi",
    ],
)
def test_a_client_that_speaks_something_else_is_left(home: Home, text: bytes) -> None:
    assert qmtpd(home, text).code == 100
    assert len(home.queued()) == text.startswith(HELLO)


def test_a_recipient_s_length_has_digits_only(home: Home) -> None:
    assert qmtpd(home, HELLO.replace(b"18:", b"1b:")).code == 100
    assert home.queued() == []


def test_an_absurd_length_is_none_to_wait_for(home: Home) -> None:
    assert qmtpd(home, b"99999999999:\n").code == 111


@pytest.mark.parametrize("name", ["rcpthosts", "databytes"])
def test_a_control_file_that_cannot_be_read_is_no_permission(home: Home, name: str) -> None:
    (home.folder / "control" / name).unlink(missing_ok=True)
    (home.folder / "control" / name).mkdir()
    code, out, err = qmtpd(home, HELLO)
    assert (code, out, home.queued()) == (111, b"", [])
    assert err == b"qmail-qmtpd: fatal: unable to read control/%s: is a directory\n" % name.encode()


def test_a_list_of_hosts_that_turns_out_to_be_damaged_takes_nothing_back(home: Home) -> None:
    (home.folder / "control" / "morercpthosts.cdb").write_bytes(b"no cdb")
    code, out, err = qmtpd(home, HELLO + package(b"\nx\n", b"joe", b"a@heaven.af.mil", b"b@else.where"))
    assert (code, masked(out), len(home.queued())) == (111, b"K,", 1)
    assert err.startswith(b"qmail-qmtpd: fatal: ") and err.count(b"\n") == 1


def test_a_home_that_is_missing_is_no_permission(home: Home) -> None:
    assert qmtpd(home, HELLO, QMAILHOME="/nonexistent").code == 111
    assert home.queued() == []


def test_no_name_of_ours_is_needed(home: Home) -> None:
    (home.folder / "control" / "me").unlink()
    assert masked(qmtpd(home, HELLO).out) == b"K,"


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("exit 31", b"Dmail server permanently rejected message (#5.3.0)"),
        ("exit 53", b"Zqq write error or disk full (#4.3.0)"),
        ("cat >/dev/null; kill -9 $$", b"Zqq crashed (#4.3.0)"),
    ],
)
def test_what_the_queue_says_is_told(home: Home, script: str, answer: bytes) -> None:
    home.take(script)
    assert qmtpd(home, package(b"\nx\n", b"joe", b"a", b"b@else.where")).out == netstring(answer) + HOST_REFUSED


def test_nothing_is_answered_before_the_queue_has_answered(home: Home) -> None:
    home.take("cat >/dev/null; cat <&1 >{kept}/all; until test -e {kept}/go; do sleep 0.01; done")
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = start("qmail-qmtpd", env=home.env, stdin=theirs, stdout=theirs)
        ours.sendall(HELLO)
        until((home.kept / "all").exists)
        with pytest.raises(BlockingIOError):
            ours.recv(1, socket.MSG_DONTWAIT)
        (home.kept / "go").touch()
        assert masked(ours.recv(100)) == b"K,"
    assert process.wait() == 0


def test_one_worker_serves_many_clients_and_nothing_of_one_reaches_the_next(home: Home) -> None:
    assert main.again
    with Server("qmail-qmtpd", env=home.env) as server:
        for _ in range(5):
            assert server.ask(say=HELLO[:-5]) == b""
            assert masked(server.ask(say=HELLO)) == b"K,"
            assert server.ask(say=b"nonsense") == b""
            with server.connect() as client:
                client.sendall(HELLO[:20])
                reset(client)
        assert len(home.queued()) == 5
        assert len(set(server.pids())) < 15  # of twenty connections
        assert not SHAME.search(server.log())


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_message_in_a_warm_worker_costs_few_system_calls(home: Home) -> None:
    """Beside the queue: a look at the home and each control file, and poll, read or write for each turn of the talk."""
    code = (
        "import os, socket; from mta.qmtp import incoming, qmtpd\n"
        "class Queue:\n"
        "    pid = 1\n"
        "    def write(self, data): pass\n"
        "    def send(self, sender, recipients): return b''.join(recipients) and b''\n"
        "incoming.Submission = Queue\n"
        "for _ in range(2):\n"
        "    ours, theirs = socket.socketpair()\n"
        f"    ours.sendall({HELLO!r})\n"
        "    ours.shutdown(socket.SHUT_WR)\n"
        "    os.dup2(theirs.fileno(), 0), os.dup2(theirs.fileno(), 1)\n"
        "    os.path.exists('/begin'); qmtpd.main([b'qmail-qmtpd']); os.path.exists('/end')\n"
        "    ours.close(), theirs.close()\n"
    )
    trace = home.folder / "trace"
    strace = ["strace", "-o", str(trace), sys.executable, "-c", code]
    subprocess.run(strace, env=environment(home.env), check=True)
    second = trace.read_text().rpartition("/begin")[2].partition("/end")[0]
    assert 5 < second.count("\n") < 30, second


@pytest.mark.parametrize("server", ["qmtpd", "qmqpd"])
def test_when_the_hour_is_over_a_client_is_left_and_nothing_is_queued(home: Home, server: str) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            more = {"stdin": theirs, "stdout": theirs}
            process = hurried(f"mta.qmtp.{server}", "mta.qmtp.netstrings.PATIENCE", 1, [server], home.env, **more)
        ours.sendall((HELLO if server == "qmtpd" else b"100:" + HELLO)[:-10])
        assert ours.recv(100) == b""
    assert process.wait() == 111
    assert home.queued() == []
