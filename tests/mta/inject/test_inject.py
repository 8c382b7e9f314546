"""qmail-inject, as a user runs it."""

from __future__ import annotations

import os
import re
import resource
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BIN, environment, run, start
from injecting import Home
from queues import Queue
from until import until

from mta.header import LONGEST
from mta.queue.submit import KEPT

FATAL = b"qmail-inject: fatal: "


def test_a_message_gets_what_it_lacks(home: Home) -> None:
    assert home.command("qmail-inject", text=b"To: bill\nBcc: sue\n\nhello") == (0, b"", b"")
    assert re.fullmatch(
        rb"Date: \d+ [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d -0000\nMessage-ID: <\d{14}\.\d+\.qmail@heaven\.af\.mil>\n"
        rb"From: joe@heaven\.af\.mil\nTo: bill@heaven\.af\.mil\n\nhello\n",
        home.message,
    )
    assert home.envelope == [b"Fjoe@heaven.af.mil", b"Tbill@heaven.af.mil", b"Tsue@heaven.af.mil"]


def test_what_is_printed_is_what_would_be_queued(home: Home) -> None:
    text = b"Date: d\nMessage-ID: i\nTo: bill\nSubject: \xc3\xa4 =?utf-8?q?=C3=A4?= \xff\n\n\0\xff"
    assert home.command("qmail-inject", text=text).code == 0
    queued = home.message
    printed = home.command("qmail-inject", "-n", text=text).out
    assert printed == b"Return-Path: <joe@heaven.af.mil>\n" + queued
    assert b"Subject: \xc3\xa4 =?utf-8?q?=C3=A4?= \xff\n\n\0\xff\n" in printed


@pytest.mark.parametrize(
    ("field", "printed"),
    [
        ("To: undisclosed-recipients:;", "To: undisclosed-recipients: ;"),
        ("To: team: joe, sue@far.example;, bob", "To: team: joe@heaven.af.mil, sue@far.example;, bob@heaven.af.mil"),
        (
            "Cc: =?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@far.example>",
            "Cc: =?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@far.example>",
        ),
        ('From: "Müller, Jörg" <joerg@far.example>', 'From: "Müller, Jörg" <joerg@far.example>'),
        (
            "Subject: =?utf-8?B?w6Q=?= ä und: so, weiter\n <fort>",
            "Subject: =?utf-8?B?w6Q=?= ä und: so, weiter\n <fort>",
        ),
        ("To: joe@[192.0.2.1], sue@[IPv6:2001:db8::1]", "To: joe@[192.0.2.1], sue@[IPv6:2001:db8::1]"),
    ],
)
def test_what_mail_programs_write_today_stays_as_it_is(home: Home, field: str, printed: str) -> None:
    done = home.command("qmail-inject", "-n", text=f"{field}\n\nhello\n".encode())
    assert done.code == 0
    assert f"{printed}\n" in done.out.decode()


def test_no_two_messages_have_one_identifier(home: Home) -> None:
    code = """if True:
        import os
        from mta.inject.inject import main
        for _ in range(20):
            os.lseek(0, 0, 0)
            main([b"qmail-inject", b"-n"])
    """
    text = home.folder / "text"
    text.write_bytes(b"To: bill\n")
    with text.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", code], stdin=file, capture_output=True, env=environment(home.env), check=True
        )
    found = re.findall(rb"Message-ID: <(.*)>", done.stdout)
    assert len(found) == len(set(found)) == 20


@pytest.mark.parametrize("field", [b"To: joe\\\n", b'To: "jo\n e"@irs.gov\n', b"To: <joe\\\n @irs.gov>\n"])
def test_no_recipient_has_a_line_end(home: Home, field: bytes) -> None:
    assert home.command("qmail-inject", text=field + b"\nhello\n").code == 0
    assert b"\n" not in b"".join(home.envelope)
    assert home.message.endswith(b"\n\nhello\n")


@pytest.mark.parametrize("variable", ["QMAILNAME", "QMAILUSER", "QMAILIDHOST", "QMAILSUSER"])
def test_no_variable_adds_a_field(home: Home, variable: str) -> None:
    done = home.command("qmail-inject", "-n", text=b"To: bill\n", **{variable: "x\nEvil: y"})
    assert b"\nEvil" not in done.out
    assert b"Evil" in done.out


@pytest.mark.parametrize(
    ("argv", "text", "line"),
    [
        (["-z"], b"", b"qmail-inject: illegal option -- z\n"),
        (["-f"], b"", b"qmail-inject: option requires an argument -- f\n"),
        (["-fjoe@(", "-z"], b"", FATAL + b"unable to parse this line:\njoe@("),
        (["joe@("], b"", FATAL + b"unable to parse address: joe@(\n"),
        ([], b"To: x\nFrom: a,\n (\n\n", FATAL + b"unable to parse this line:\nFrom: a,\n (\n"),
        ([], b"A: " + b"x" * LONGEST, FATAL + b"header is longer than 8388608 bytes\n"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_queued(home: Home, argv: list[str], text: bytes, line: bytes) -> None:
    assert home.command("qmail-inject", *argv, text=text) == (100, b"", line)
    assert not (home.folder / "message").exists()


def test_a_message_that_cannot_be_read_is_not_queued(home: Home) -> None:
    with open("/dev/null", "wb") as unreadable:
        done = subprocess.run(
            [BIN / "qmail-inject", "bill"],
            stdin=unreadable,
            capture_output=True,
            env=environment(home.env),
            check=False,
        )
    assert (done.returncode, done.stderr) == (111, FATAL + b"read error\n")
    assert not (home.folder / "message").exists()


def test_a_message_whose_end_cannot_be_read_is_not_queued(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as theirs:
        process = start("qmail-inject", "bill", env=home.env, stdin=theirs, stderr=subprocess.PIPE)
        ours, _ = listener.accept()
    try:
        with ours:
            ours.sendall(b"To: bill\n\n" + b"x" * 2 * KEPT)
            until((home.folder / "message").exists)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close breaks the connection
        assert process.communicate(timeout=20)[1] == FATAL + b"read error\n"
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 111
    assert home.envelope == [b""]


@pytest.mark.parametrize("text", [b"hello\n" * 200_000, b""], ids=["large", "none"])
def test_a_body_of_any_size_passes_through(home: Home, text: bytes) -> None:
    assert home.command("qmail-inject", text=b"To: bill\n\n" + text).code == 0
    assert home.message.partition(b"\n\n")[2] == text


def test_a_body_is_not_kept_in_memory(home: Home) -> None:
    (home.folder / "capture").write_text("#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\n")
    limit = 80 << 20
    piece = b"x" * (1 << 20)
    with subprocess.Popen(
        [BIN / "qmail-inject", "bill"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(home.env),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdin
        for _ in range(150):
            process.stdin.write(piece)
        assert process.communicate(timeout=30)[1] == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [(31, "", 100), (51, "", 111), (82, "Dnot you (#5.7.1)", 100), (82, "Znot now (#4.7.1)", 111)],
)
def test_what_the_queue_says_is_told(home: Home, code: int, said: str, expected: int) -> None:
    (home.folder / "capture").write_text(f"#!/bin/sh\ncat >/dev/null\nprintf '{said}' >&6\nexit {code}\n")
    done = home.command("qmail-inject", "bill", text=b"\n")
    assert done.code == expected
    assert done.err.startswith(FATAL)
    assert done.err.count(b"\n") == 1
    assert said[1:].encode() in done.err


def test_each_recipient_can_have_a_sender_of_its_own(home: Home) -> None:
    home.command("qmail-inject", "bill", text=b"\n", QMAILINJECT="rm")
    assert re.fullmatch(rb"Fjoe-\d+\.\d+-@heaven\.af\.mil-@\[\]", home.envelope[0])


def test_a_follow_up_goes_to_the_list(home: Home) -> None:
    (home.folder / "lists").write_text("# mine\nList@x.y \n")
    done = home.command("qmail-inject", "-n", text=b"To: list@X.Y, bill\n", QMAILMFTFILE=str(home.folder / "lists"))
    assert b"\nMail-Followup-To: list@X.Y,\n  bill@heaven.af.mil\n" in done.out


def test_a_message_that_is_sent_on_keeps_its_own_fields(home: Home) -> None:
    text = b"Resent-To: bill\nTo: sue\nFrom: ann@x.y\nDate: d\nMessage-ID: i\n"
    assert home.command("qmail-inject", text=text).code == 0
    assert home.envelope == [b"Fjoe@heaven.af.mil", b"Tbill@heaven.af.mil"]
    made = [line.partition(b":")[0] for line in home.message.split(b"\n")[:-1]]
    assert made == [
        b"Resent-Date",
        b"Resent-Message-ID",
        b"Resent-From",
        *(b"Resent-To To From Date Message-ID".split()),
    ]


def test_a_message_enters_the_queue(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "home")
    (queue.home / "control").mkdir()
    (queue.home / "control/me").write_text("heaven.af.mil\n")
    server = start("qmail-queued", env=queue.env, stderr=subprocess.PIPE)
    try:
        until(lambda: (queue.home / "run/submit").exists())
        env = {**queue.env, "QMAILUSER": "joe", "QMAILHOST": None, "MAILHOST": None}
        assert run("sendmail", "-t", input=b"To: bill, sue\n\nhello\n", env=env) == (0, b"", b"")
    finally:
        server.kill()
        server.communicate()
    [number] = queue.numbers()
    uid, _, sender, recipients = queue.envelope(number)
    assert (uid, sender) == (os.getuid(), b"joe@heaven.af.mil")
    assert recipients == [b"sue@heaven.af.mil", b"bill@heaven.af.mil"]
    assert queue.message(number).endswith(b"\nTo: bill@heaven.af.mil, sue@heaven.af.mil\n\nhello\n")
