"""The command itself: descriptors, control files, time, one worker for many clients."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commands import BIN, Result, environment, run, start
from until import until

from mta.smtp.smtpd import main
from supervise.pool import Pool
from supervise.worker import run_again

MESSAGE = b"MAIL FROM:<joe@irs.gov>\r\nRCPT TO:<bill@heaven.af.mil>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n"
CLIENT = {
    "TCPREMOTEIP": "192.0.2.7", "TCPREMOTEHOST": "client.example", "TCPLOCALHOST": "mx.af.mil",
    "TCPREMOTEINFO": None, "RELAYCLIENT": None, "DATABYTES": None,
}  # fmt: skip


class Home:
    """A home, and a queue that keeps in `queued` what it gets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queued = folder / "queued"
        self.queued.mkdir()
        (folder / "control").mkdir()
        self.control(me="heaven.af.mil", rcpthosts="heaven.af.mil")
        queue = folder / "capture"
        queue.write_text(f"#!/bin/sh\ncat >{self.queued}/message\ncat <&1 >{self.queued}/envelope\n")
        queue.chmod(0o755)
        self.env: dict[str, str | None] = {**CLIENT, "QMAILHOME": str(folder), "QMAILQUEUE": str(queue)}

    def control(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "control" / name).write_text(text + "\n")

    def smtpd(self, text: bytes, **env: str) -> Result:
        return run("qmail-smtpd", input=text, env={**self.env, **env})

    def message(self) -> bytes:
        return (self.queued / "message").read_bytes()

    def envelope(self) -> bytes:
        return (self.queued / "envelope").read_bytes()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_message_goes_into_the_queue(home: Home) -> None:
    code, out, err = home.smtpd(MESSAGE)
    assert (code, err) == (0, b"")
    assert re.fullmatch(
        rb"220 heaven.af.mil ESMTP\r\n250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok \d+ qp \d+\r\n221 heaven.af.mil\r\n",
        out,
    )
    assert home.envelope() == b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0\0"
    assert re.fullmatch(
        rb"Received: from client.example \(192.0.2.7\)\n  by mx.af.mil with SMTP; .* -0000\nSubject: x\n\nhello\n",
        home.message(),
    )


def test_a_client_that_hangs_up_queues_nothing_and_is_no_success(home: Home) -> None:
    for cut in b"", b"MAIL FR", MESSAGE[:-10]:
        assert home.smtpd(cut).code == 1
    assert home.envelope() == b""


@pytest.mark.parametrize(
    "name", ["me", "smtpgreeting", "localiphost", "timeoutsmtpd", "rcpthosts", "badmailfrom", "databytes", "trace"]
)
def test_a_control_file_that_cannot_be_read_sends_clients_away_for_now(home: Home, name: str) -> None:
    (home.folder / "control" / name).unlink(missing_ok=True)
    (home.folder / "control" / name).mkdir()
    assert home.smtpd(MESSAGE) == (1, b"421 unable to read controls (#4.3.0)\r\n", b"")


def test_without_a_name_clients_are_sent_away_for_now(home: Home) -> None:
    (home.folder / "control" / "me").unlink()
    assert home.smtpd(MESSAGE) == (1, b"421 unable to read controls (#4.3.0)\r\n", b"")


def test_clients_that_stall_are_told_and_left(home: Home) -> None:
    home.control(timeoutsmtpd="1")
    stalls = b"", b"MAIL FR", MESSAGE[:-20]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [start("qmail-smtpd", env=home.env, **pipes) for _ in stalls]  # all wait at the same time
    for stall, process in zip(stalls, started, strict=True):
        assert process.stdin is not None
        process.stdin.write(stall)
        process.stdin.flush()
    for process in started:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.read().endswith(b"\r\n451 timeout (#4.4.2)\r\n")
        assert process.wait() == 1
        process.stdin.close()
        process.stdout.close()
    assert home.envelope() == b""


def test_a_client_that_takes_no_replies_is_left(home: Home) -> None:
    home.control(timeoutsmtpd="1")
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = start("qmail-smtpd", env=home.env, stdin=theirs, stdout=theirs)
        ours.settimeout(20)
        with pytest.raises(OSError):  # the server reads no more, and then it goes
            while True:
                ours.sendall(b"NOOP\r\n" * 10_000)
        assert process.wait() == 1


def test_a_client_that_is_gone_when_we_reply_is_no_signal(home: Home) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start("qmail-smtpd", env=home.env, stdin=theirs, stdout=theirs)
    until(lambda: ours.recv(1, socket.MSG_PEEK))
    ours.sendall(b"NOOP\r\n" * 1000)
    ours.close()
    assert process.wait() == 1


def test_a_line_of_ten_megabytes_needs_no_memory(home: Home) -> None:
    code, out, _ = home.smtpd(b"MAIL FROM:<" + b"x" * (10 << 20) + b">\r\nNOOP\r\nQUIT\r\n")
    assert (code, out.split(b"\r\n")[1:3]) == (0, [b"555 syntax error (#5.5.4)", b"250 ok"])
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1 << 20


def test_a_hundred_thousand_recipients_reach_the_queue(home: Home) -> None:
    recipients = b"".join(b"RCPT TO:<u%d@heaven.af.mil>\r\n" % number for number in range(100_000))
    code, out, _ = home.smtpd(b"MAIL FROM:<>\r\n" + recipients + b"DATA\r\n.\r\nQUIT\r\n")
    assert (code, out.count(b"250 ok\r\n")) == (0, 100_001)
    assert home.envelope() == b"F\0" + b"".join(b"Tu%d@heaven.af.mil\0" % number for number in range(100_000)) + b"\0"


def test_a_large_message_arrives_whole(home: Home) -> None:
    lines = [b"%d" % number * 9 for number in range(200_000)]
    text = b"MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n" + b"\r\n".join(lines) + b"\r\n.\r\nQUIT\r\n"
    assert home.smtpd(text).code == 0
    assert home.message().partition(b" -0000\n")[2] == b"\n".join(lines) + b"\n"


def test_250_is_said_only_when_the_queue_has_said_so(home: Home) -> None:
    wait, answer = home.folder / "wait", home.folder / "answer"
    os.mkfifo(wait)
    (home.folder / "capture").write_text(f"#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\ncat {wait} >{answer}\n")
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = start("qmail-smtpd", env=home.env, stdin=theirs, stdout=theirs)
        talk = ours.makefile("rb")
        envelope, data, content = MESSAGE.partition(b"DATA\r\n")
        ours.sendall(envelope + data)
        while talk.readline() != b"354 go ahead\r\n":
            pass
        ours.sendall(content)
        until(answer.exists)  # the queue has it all, and has not answered
        with pytest.raises(BlockingIOError):
            ours.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        wait.write_bytes(b"x")
        assert talk.readline().startswith(b"250 ok ")
        assert process.wait() == 0


def test_a_queue_that_is_killed_is_no_acceptance(home: Home) -> None:
    (home.folder / "capture").write_text("#!/bin/sh\ncat >/dev/null\nkill -9 $$\n")
    assert b"354 go ahead\r\n451 qq crashed (#4.3.0)\r\n" in home.smtpd(MESSAGE).out


def test_a_bug_of_ours_does_not_return_mail(home: Home) -> None:
    code = (
        "import sys; from mta.smtp import smtpd\n"
        "class Broken:\n"
        "    def write(self, data): raise KeyError('write')\n"
        "    def abandon(self): pass\n"
        "smtpd.Submission = Broken\n"
        "sys.exit(smtpd.main([b'qmail-smtpd']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=MESSAGE, env=environment(home.env), capture_output=True, check=False
    )
    assert done.returncode == 111
    assert done.stdout.endswith(b"\r\n421 internal bug (#4.3.0)\r\n")
    assert done.stderr == b"qmail-smtpd: bug: KeyError('write')\n"


def test_the_command_may_serve_again_in_one_process() -> None:
    assert main.again


def test_sessions_in_one_worker_are_like_those_of_fresh_processes(home: Home) -> None:
    """Whatever one client had, in its environment or half done, the next one has not."""
    clients: list[tuple[Mapping[str, str], bytes]] = [
        ({"RELAYCLIENT": "@gate", "TCPREMOTEINFO": "joe"}, b"HELO a\r\nMAIL FROM:<a>\r\nRCPT TO:<x@y>\r\nDATA\r\nhalf"),
        ({}, b"RCPT TO:<x>\r\n" + MESSAGE.replace(b"heaven.af.mil>", b"other.example>")),
        ({"DATABYTES": "3"}, MESSAGE),
        ({}, MESSAGE),
        ({"QMAILQUEUE": "/nonexistent"}, MESSAGE),
        ({"TCPREMOTEIP": "192.0.2.8"}, b"MAIL FROM:<>\r\nDATA\r\n" + MESSAGE),
        ({}, b"QUIT\r\n"),
    ]
    pool = Pool(lambda payload: serve(payload))
    pids = set()
    for env, text in clients:
        for name in "message", "envelope":
            (home.queued / name).unlink(missing_ok=True)
        fresh = home.smtpd(text, **env)
        fresh_files = files(home)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                variables = environment({**home.env, **env})
                payload = b"\0".join(f"{name}={value}".encode() for name, value in variables.items())
                pids.add(pool.begin(payload, {0: theirs.fileno(), 1: theirs.fileno()}, "job"))
            ours.sendall(text)
            ours.shutdown(socket.SHUT_WR)
            ended = until(pool.ended)
            out = b""
            while data := ours.recv(65536):
                out += data
        assert os.waitstatus_to_exitcode(ended[0].status) == fresh.code
        assert masked(out) == masked(fresh.out)
        assert files(home) == fresh_files
    assert len(pids) == 1
    pool.dismiss()
    until(lambda: pool.ended() or pool.count == 0)


def serve(payload: bytes) -> int:
    """What tcpserver's worker does: take the connection's environment, run the command."""
    os.environb.clear()
    os.environb.update(variable.split(b"=", 1) for variable in payload.split(b"\0"))
    return run_again([b"qmail-smtpd"])


def files(home: Home) -> list[bytes]:
    return [masked(path.read_bytes()) for path in sorted(home.queued.iterdir())]


def masked(text: bytes) -> bytes:
    return re.sub(rb"ok \d+ qp \d+", b"ok", re.sub(rb"; .* -0000\n", b"; DATE\n", text))


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_session_in_a_warm_worker_costs_few_system_calls(home: Home, tmp_path: Path) -> None:
    """Beside the queue: a look at each control file, and poll and read or write for each turn of the talk."""
    code = (
        "import os, socket; from mta.smtp import smtpd\n"
        "class Queue:\n"
        "    pid = 1\n"
        "    def write(self, data): pass\n"
        "    def send(self, sender, recipients): return b''\n"
        "smtpd.Submission = Queue\n"
        "for _ in range(2):\n"
        "    ours, theirs = socket.socketpair()\n"
        f"    ours.sendall({MESSAGE!r})\n"
        "    os.dup2(theirs.fileno(), 0), os.dup2(theirs.fileno(), 1)\n"
        "    os.path.exists('/begin'); smtpd.main([b'qmail-smtpd']); os.path.exists('/end')\n"
        "    ours.close(), theirs.close()\n"
    )
    trace = tmp_path / "trace"
    strace = ["strace", "-o", str(trace), sys.executable, "-c", code]
    subprocess.run(strace, env=environment(home.env), check=True)
    second = trace.read_text().rpartition("/begin")[2].partition("/end")[0]
    assert 10 < second.count("\n") < 40, second


def test_the_command_is_where_users_find_it() -> None:
    assert (BIN / "qmail-smtpd").exists()


# -- control/trace ---------------------------------------------------------------------------


def test_nothing_is_logged_unless_trace_asks_for_it(home: Home) -> None:
    refused = MESSAGE.replace(b"DATA", b"RCPT TO:<joe@far.example>\r\nDATA")
    assert home.smtpd(refused).err == b""
    home.control(trace="0")
    assert home.smtpd(refused).err == b""


def test_with_trace_a_message_is_logged_under_the_number_that_its_client_is_told(home: Home) -> None:
    home.control(trace="1")
    code, out, err = home.smtpd(MESSAGE.replace(b"DATA", b"RCPT TO:<ann@heaven.af.mil>\r\nDATA"))
    qp = re.search(rb"250 ok \d+ qp (\d+)\r\n", out)
    assert code == 0 and qp
    line = rb"qmail-smtpd: pid \d+ client 192.0.2.7 qp %s: bytes 18 from <joe@irs.gov> rcpts 2\n" % qp[1]
    assert re.fullmatch(line, err)


def test_with_trace_who_is_refused_is_logged_with_the_reply(home: Home) -> None:
    home.control(trace="1", badmailfrom="@bad.example")
    text = (
        b"MAIL FROM:<a b@bad.example>\r\nRCPT TO:<bill@heaven.af.mil>\r\n"
        b"MAIL FROM:<joe@irs.gov>\r\nRCPT TO:<joe%@far.example>\r\nRCPT TO:<" + b"x" * 2000 + b"@y>\r\n"
        b"MAIL FROM:<" + b"y" * 2000 + b">\r\nDATA\r\nQUIT\r\n"
    )
    _, _, err = home.smtpd(text, TCPREMOTEINFO="me\nme")
    who = b"qmail-smtpd: pid N client me/me@192.0.2.7 refused: "
    assert re.sub(rb"pid \d+", b"pid N", err).splitlines() == [
        who + b"from <a_b@bad.example> to <bill@heaven.af.mil>: "
        b"553_sorry,_your_envelope_sender_is_in_my_badmailfrom_list_(#5.7.1)",
        who + b"from <joe@irs.gov> to <joe_@far.example>: "
        b"553_sorry,_that_domain_isn't_in_my_list_of_allowed_rcpthosts_(#5.7.1)",
        who + b"from <joe@irs.gov> to <" + b"x" * 899 + b">: 555_syntax_error_(#5.5.4)",
        who + b"from <" + b"y" * 899 + b">: 555_syntax_error_(#5.5.4)",
    ]


def test_with_trace_a_whole_message_that_is_refused_or_breaks_off_is_logged_once(home: Home) -> None:
    home.control(trace="1", databytes="5")
    why = {
        MESSAGE: b"552_sorry,_that_message_size_exceeds_my_databytes_limit_(#5.3.4)",
        MESSAGE.replace(b"hello\r\n", b"h\n"): b"451_See_https://cr.yp.to/docs/smtplf.html.",
        MESSAGE[:-10]: b"connection_lost_before_the_end_of_the_message",
    }
    for text, words in why.items():
        line = rb"qmail-smtpd: pid \d+ client 192.0.2.7 refused: from <joe@irs.gov> to <bill@heaven.af.mil> rcpts 1: "
        assert re.fullmatch(line + re.escape(words) + b"\n", home.smtpd(text).err), text
