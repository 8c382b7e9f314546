"""822field, 822header, 822date, 822received, 822print and iftocc, as users run them."""

from __future__ import annotations

import pytest
from commands import run

MESSAGE = (
    b"Received: from b.example (HELO x) (192.0.2.7) by mx.example with SMTP; 1 Jan 2026 00:00:00 -0000\n"
    b"Received: (qmail 12 invoked by uid 0);\n 31 Dec 2025 23:59:59 -0000\n"
    b"Subject: hi\n  there\nsubject : t\xc3\xb6o\nFrom: Joe <joe@irs.gov>\nTo: Bill@Heaven.example, friends: sue@x;\n"
    b"Date: yesterday\nDate: Thu, 1 Jan 2026 00:00:00 +0130\nX-Other: y\n\nSubject: body\n"
)


def test_822field_prints_each_value_in_a_line() -> None:
    assert run("822field", input=MESSAGE) == (0, b" hi  there\n t\xc3\xb6o\n", b"")
    assert run("822field", "X-OTHER", input=MESSAGE) == (0, b" y\n", b"")
    assert run("822field", "body", input=MESSAGE) == (100, b"", b"")


@pytest.mark.parametrize("rest", [b"", b"\nbody: x\n", b"no header\n", b"From joe Thu Jan 01 00:00:00 2026\nx: y\n"])
def test_822header_ends_where_the_header_ends(rest: bytes) -> None:
    assert run("822header", input=b"A: b\n c\n" + rest) == (0, b"A: b\n c\n", b"")


def test_a_from_line_is_no_header() -> None:
    assert run("822header", input=b"From joe Thu Jan 01 00:00:00 2026\nx: y\n") == (0, b"", b"")


def test_822date_prints_the_last_date_three_times() -> None:
    out = b"2026-01-01 00:00:00 +0130\n2025-12-31 22:30:00 +0000\nThu Jan  1 03:30:00 2026\n"
    assert run("822date", input=MESSAGE, env={"TZ": "XXX-5"}) == (0, out, b"")
    assert run("822date", "subject", input=MESSAGE) == (100, b"", b"")
    far = run("822date", input=b"Date: 30 Jun 5972 23:59:60 -0000\n")
    assert far.out == b"5972-06-30 23:59:60 +0000\n5972-07-01 00:00:00 +0000\nSat Jul  1 00:00:00 5972\n"


def test_822received_tells_the_way_from_its_beginning() -> None:
    assert run("822received", input=MESSAGE) == (
        0,
        b"Wed Dec 31 23:59:59 2025 (qmail 12 invoked by uid 0)\n"
        b"\t\t\t ; 31 Dec 2025 23:59:59 -0000\n"
        b"Thu Jan  1 00:00:00 2026 from b.example (HELO x) (192.0.2.7) \n"
        b"\t\t\t by mx.example with SMTP\n"
        b"\t\t\t ; 1 Jan 2026 00:00:00 -0000\n",
        b"",
    )
    assert run("822received", input=b"Received: by chance\n") == (0, b"\t\t\t by chance\n", b"")
    assert run("822received", input=b"\n") == (0, b"", b"")


def under(text: bytes) -> bytes:
    return b"".join(b"_\b%c" % letter for letter in text)


def bold(text: bytes) -> bytes:
    return b"".join(b"%c\b%c" % (letter, letter) for letter in text)


def test_822print_shows_who_wrote_what_to_whom_when() -> None:
    message = b"X-Other: y\nDate: Thu, 1 Jan 2026 00:00:00 +0130\nTo: sue@x\nFrom: Joe <joe@irs.gov>\nSubject: hi\n"
    rest = b"Reply-To: joe@x\nReferences: <1@x>\n\nbody\n"
    line = b"-" * 78 + b"\n"
    done = run("822print", input=message + rest, env={"TZ": "XXX-5"})
    assert (done.code, done.err) == (0, b"")
    assert done.out == (
        b"Subject:" + b" " * 67 + under(b" hi") + b"\n"
        b"From: " + under(b"Joe") + b" " * 58 + bold(b"joe@irs.gov") + b"\n"
        b"Date: Thu, 1 Jan 2026 00:00:00 +0130" + b" " * 23 + under(b"2026-01-01 03:30:00") + b"\n"
        b"Ref: " + b" " * 70 + under(b"1@x") + b"\n" + line + b"To: " + b" " * 69 + bold(b"sue@x") + b"\n" + line
        + b"Reply-To: " + b" " * 54 + b"reply to " + bold(b"joe@x") + b"\nX-Other: y\n\nbody\n"
    )  # fmt: skip


def test_822print_breaks_long_lines_and_shows_odd_bytes_by_number() -> None:
    done = run("822print", input=b"Subject: \xe9" + b"x" * 100 + b"\nX: " + b"word " * 40 + b"\n\n")
    assert done.out.startswith(b"Subject:" + b" " * 20 + under(b" ") + b"\\351" + under(b"x" * 45) + b"\n")
    assert all(len(line) <= 78 for line in done.out.splitlines() if line.startswith((b"X: ", b" word")))


TOCC = [
    (b"to: fred@home\n", ["FRED@Home"], 0),
    (b"cc: fred@home\n", ["x", "fred@home"], 0),
    (b"to: bill\nto: a, Fred <fred@home>\n", ["fred@home"], 0),
    (b"to: bill\n\nto: fred@home\n", ["fred@home"], 100),
    (b"apparently-to: fred@home\n", ["fred@home"], 100),
    (b"to: sue@home (fred@home)\n", ["fred@home"], 100),
    (b"to: fred@home\n", [], 0),
    (b"to: fred@home\n", ["sue@home"], 100),
]


@pytest.mark.parametrize(("message", "words", "code"), TOCC)
def test_iftocc_finds_who_is_in_to_or_cc(message: bytes, words: list[str], code: int) -> None:
    assert run("iftocc", *words, input=message, env={"RECIPIENT": "fred@home"}) == (code, b"", b"")


def test_without_a_recipient_iftocc_finds_nobody() -> None:
    assert run("iftocc", input=b"To: <>\n", env={"RECIPIENT": None}).code == 100


@pytest.mark.parametrize("name", ["822field", "822header", "822date", "822received", "822print", "iftocc"])
def test_a_message_that_cannot_be_read_is_temporary(name: str) -> None:
    done = run("sh", "-c", f"exec {name} 0>/dev/null")
    assert done == (111, b"", name.encode() + b": fatal: unable to read input: file descriptor not open\n")
