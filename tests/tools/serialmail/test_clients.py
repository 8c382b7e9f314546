"""serialsmtp and serialqmtp: what goes over the wire, and what is reported."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commands import BIN, Result, environment
from until import until

GREETING = b"220 Hi\n250-Silly\n250 PipeLining\n"
PLAIN = b"220 Hi\n250 ok\n"
GOOD = b"250 ok\n250 ok\n354 go ahead\n250 thanks\n"
HELLO = b"EHLO Host\r\n"
SAID = b"MAIL FROM:<Sender>\r\nRCPT TO:<Whatever>\r\nDATA\r\nThis is a test.\r\n.\r\n"
OTHER = b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<You@Virt.Dom>\r\nDATA\r\nThis is a test.\r\n.\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three messages."""
    text = b"This is a test.\n"
    for name, content in {
        "one": b"Return-Path: <Sender>\nDelivered-To: Account-Whatever\n" + text,
        "two": b"Return-Path: <>\nDelivered-To: Account-You@Virt.Dom\n" + text,
        "odd": b'Return-Path: <"needs quoting!"@the..host>\nDelivered-To: Account-more..quoting@Virt.Dom\n. one dot\n'
        b".. two dots\nThe end",
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def client(folder: Path, server: bytes | None, argv: str, *names: str, ip: str | None = None) -> tuple[Result, bytes]:
    """What comes of a client that hears *server* (None: descriptor 6 is not there), and what it said."""
    said, heard = folder / "said", folder / "heard"
    heard.write_bytes(server or b"")
    script = f"exec 7>{said} 6<{'&-' if server is None else heard}; exec {argv}"
    done = subprocess.run(
        ["sh", "-c", script],
        input=b"".join(os.fsencode(name) + b"\0" for name in names),
        cwd=folder,
        env={**environment(), "PATH": f"{BIN}:/usr/bin:/bin", **({} if ip is None else {"TCPREMOTEIP": ip})},
        capture_output=True,
        timeout=30,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr), said.read_bytes()


def smtp(folder: Path, server: bytes | None, *names: str, prefix: str = "Account-", ip: str | None = None):  # type: ignore[no-untyped-def]
    return client(folder, server, f"serialsmtp {prefix} Host", *names, ip=ip)


def qmtp(folder: Path, server: bytes | None, *names: str, prefix: str = "Account-", ip: str | None = None):  # type: ignore[no-untyped-def]
    return client(folder, server, f"serialqmtp {prefix}", *names, ip=ip)


# -- SMTP ------------------------------------------------------------------------------------


@pytest.mark.parametrize("greeting", [GREETING, PLAIN])
def test_messages_go_one_after_another(folder: Path, greeting: bytes) -> None:
    done, said = smtp(folder, greeting + GOOD + b"250 reset\n" + GOOD, "one", "two")
    assert done == (0, b"one\0K250 thanks\ntwo\0K250 thanks\n", b"")
    assert said == HELLO + SAID + OTHER + b"QUIT\r\n"


def test_who_knows_no_ehlo_hears_helo(folder: Path) -> None:
    done, said = smtp(folder, b"220-long\n220 hi\n500 what?\n250 ok\n" + GOOD, "one")
    assert done == (0, b"one\0K250 thanks\n", b"")
    assert said == HELLO + b"HELO Host\r\n" + SAID + b"QUIT\r\n"


@pytest.mark.parametrize(
    ("server", "line"),
    [
        (b"421 no\n", b"connected but greeting failed"),
        (b"220 hi\n500 what?\n501 you?\n", b"connected but my name was rejected"),
    ],
)
def test_a_server_that_will_not_speak_is_left(folder: Path, server: bytes, line: bytes) -> None:
    done, said = smtp(folder, server, "one")
    assert done == (111, b"", b"serialsmtp: fatal: " + line + b"\n")
    assert said.endswith(b"QUIT\r\n")


def test_others_messages_and_files_of_another_form_are_passed_over(folder: Path) -> None:
    (folder / "none").write_bytes(b"Subject: x\n\nhello\n")
    done, said = smtp(folder, GREETING + b"250 reset\n" + GOOD, "none", "one")
    assert done == (0, b"one\0K250 thanks\n", b"")
    assert said == HELLO + b"RSET\r\n" + SAID + b"QUIT\r\n"
    done, said = smtp(folder, GREETING, "one", prefix="Wrong-")
    assert (done, said) == ((0, b"", b""), HELLO + b"QUIT\r\n")
    done, said = smtp(folder, GREETING, "missing")
    assert done == (111, b"", b"serialsmtp: fatal: unable to open missing: file does not exist\n")


@pytest.mark.parametrize(
    ("replies", "report", "code"),
    [
        (b"250 ok\n250 ok\n354 go\n451 not now\n", b"Z451 not now", 0),
        (b"250 ok\n250 ok\n354 go\n553 never\n", b"D553 never", 0),
        (b"250 ok\n250 ok\n354-go\n354 on\n250-tha\n250 th\0nks\n", b"K250 th?nks", 0),
        (b"451 bad MAIL\n503 wrong\n503 wrong\n", b"Z451 bad MAIL", 0),
        (b"250 ok\n550 bad RCPT\n503 wrong\n", b"D550 bad RCPT", 0),
        (b"451 bad MAIL\n250 ok\n", b"Z451 bad MAIL", 111),
        (b"250 ok\n451 bad RCPT\n354 go ahead\n", b"Z451 bad RCPT", 111),
        (b"250 ok\n250 ok\n451 no DATA\n", b"Z451 no DATA", 0),
    ],
)
def test_what_the_server_says_is_reported(folder: Path, replies: bytes, report: bytes, code: int) -> None:
    done, _ = smtp(folder, GREETING + replies, "one")
    assert done == (code, b"one\0" + report + b"\n", b"serialsmtp: fatal: protocol violation\n" if code else b"")


def test_a_report_names_the_server_and_is_no_longer_than_2000_bytes(folder: Path) -> None:
    done, _ = smtp(folder, PLAIN + b"250 a\n250 b\n354 c\n250 " + b"x" * 5000 + b"\n", "one", ip="192.0.2.1")
    assert done.out == b"one\0K192.0.2.1 said: 250 " + b"x" * (2000 - len("K192.0.2.1 said: 250 ")) + b"\n"


@pytest.mark.parametrize(
    ("server", "line"),
    [
        (None, b"network read error: file descriptor not open"),
        (b"", b"network read error: end of file"),
        (GREETING + b"250 ok\n", b"network read error: end of file"),
        (b"220 hi\nwhat\n", b"protocol violation"),
        (b"hi\n", b"protocol violation"),
        (b"220 no end", b"network read error: end of file"),
    ],
)
def test_a_server_that_breaks_off_is_said(folder: Path, server: bytes | None, line: bytes) -> None:
    done, _ = smtp(folder, server, "one")
    assert done == (111, b"", b"serialsmtp: fatal: " + line + b"\n")


def test_addresses_are_quoted_once_and_a_message_without_a_last_line_end_is_not_sent(folder: Path) -> None:
    done, said = smtp(folder, GREETING + GOOD, "odd")
    line = b"SMTP cannot transfer messages with partial final lines"
    assert done == (111, b"", b"serialsmtp: fatal: " + line + b"\n")
    assert said == HELLO + b'MAIL FROM:<"needs quoting!"@the..host>\r\nRCPT TO:<"more..quoting"@Virt.Dom>\r\nDATA\r\n'


def test_lines_are_made_for_the_wire(folder: Path) -> None:
    head = b"Return-Path: <a>\nDelivered-To: Account-b\n"
    (folder / "dots").write_bytes(head + b".\n..x\nCR\rin it\nCRLF\r\n")
    _, said = smtp(folder, GREETING + GOOD, "dots")
    assert said.endswith(b"DATA\r\n..\r\n...x\r\nCR\r\nin it\r\nCRLF\r\n.\r\nQUIT\r\n")


# -- QMTP ------------------------------------------------------------------------------------

PACKAGE = b"17:\nThis is a test.\n,6:Sender,11:8:Whatever,,"
SECOND = b"17:\nThis is a test.\n,0:,16:12:You@Virt.Dom,,"


def test_packages_go_without_waiting(folder: Path) -> None:
    done, said = qmtp(folder, b"7:Kthanks,13:Kthanks again,", "one", "two")
    assert done == (0, b"one\0Kthanks\ntwo\0Kthanks again\n", b"")
    assert said == PACKAGE + SECOND


def test_a_package_may_lack_a_last_line_end(folder: Path) -> None:
    done, said = qmtp(folder, b"7:Kthanks,", "odd")
    assert done == (0, b"odd\0Kthanks\n", b"")
    assert said == (
        b"30:\n. one dot\n.. two dots\nThe end,25:needs quoting!@the..host,".replace(b"25:", b"24:")
        + b"26:22:more..quoting@Virt.Dom,,"
    )


@pytest.mark.parametrize(
    ("server", "report", "line"),
    [
        (b"18:Ztemporary failure,", b"Ztemporary failure", None),
        (b"18:Dpermanent failure,", b"Dpermanent failure", None),
        (b"7:K\0h\nnks,", b"K?h?nks", None),
        (b"", None, b"network read error: end of file"),
        (b"7:Kthanks", b"Kthanks", b"network read error: end of file"),
        (None, None, b"network read error: file descriptor not open"),
        (b"1:x,", None, b"remote protocol violation"),
        (b"0:,", None, b"remote protocol violation"),
        (b"99999999999:K", None, b"remote protocol violation"),
        (b"2:Kx.", b"Kx", b"remote protocol violation"),
    ],
)
def test_answers_are_reported(folder: Path, server: bytes | None, report: bytes | None, line: bytes | None) -> None:
    done, _ = qmtp(folder, server, "one")
    told = b"" if line is None else b"serialqmtp: fatal: " + line + b"\n"
    assert done == (0 if line is None else 111, b"" if report is None else b"one\0" + report + b"\n", told)


def test_what_is_answered_is_reported_before_the_server_goes(folder: Path) -> None:
    done, _ = qmtp(folder, b"7:Kthanks,", "one", "two", ip="192.0.2.1")
    assert done.out == b"one\0K192.0.2.1 said: thanks\n"
    assert (done.code, done.err) == (111, b"serialqmtp: fatal: network read error: end of file\n")


def test_no_more_than_twenty_packages_go_before_the_first_is_answered(folder: Path) -> None:
    many = 50
    done, said = qmtp(folder, b"1:K," * many, *["one"] * many)
    assert (done.code, done.out, said) == (0, b"one\0K\n" * many, PACKAGE * many)
    os.mkfifo(folder / "answers")
    with subprocess.Popen(
        ["sh", "-c", "exec 7>said 6<answers; exec serialqmtp Account-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**environment(), "PATH": f"{BIN}:/usr/bin:/bin"},
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        with open(folder / "answers", "wb", buffering=0) as answers:
            process.stdin.write(b"one\0" * many)
            process.stdin.close()
            for sent in range(20, 23):
                until(lambda: (folder / "said").stat().st_size >= sent * len(PACKAGE))  # noqa: B023
                answers.write(b"1:K,")
            until(lambda: (folder / "said").stat().st_size >= 23 * len(PACKAGE))
        assert process.stderr.read() == b"serialqmtp: fatal: network read error: end of file\n"
        assert process.stdout.read() == b"one\0K\n" * 3
    assert (folder / "said").read_bytes() == PACKAGE * 23


def test_without_names_to_read_nothing_is_awaited(folder: Path) -> None:
    done, _ = client(folder, b"", "serialqmtp Account- <&-")
    assert done == (111, b"", b"serialqmtp: fatal: unable to read input: file descriptor not open\n")


def test_an_address_with_a_nul_is_none(folder: Path) -> None:
    (folder / "nul").write_bytes(b"Return-Path: <a\0b>\nDelivered-To: Account-c\nhello\n")
    assert qmtp(folder, b"", "nul") == ((0, b"", b""), b"")
    assert smtp(folder, GREETING, "nul") == ((0, b"", b""), HELLO + b"QUIT\r\n")


def test_files_that_cannot_be_read_are_said(folder: Path) -> None:
    done, _ = qmtp(folder, b"", "missing")
    assert done == (111, b"", b"serialqmtp: fatal: unable to open missing: file does not exist\n")


@pytest.mark.parametrize("argv", ["serialsmtp prefix", "serialqmtp", "maildirserial dir prefix", "maildirsmtp a b c"])
def test_wrong_usage_is_said(folder: Path, argv: str) -> None:
    done, _ = client(folder, b"", argv)
    assert done.code == 100 and done.err.startswith(argv.split()[0].encode() + b": usage: ")


@pytest.mark.parametrize("before", [b"", b"220 Hi\n250-Silly\n250-PipeLining\n"])
def test_a_server_that_goes_on_and_on_fills_no_memory(folder: Path, before: bytes) -> None:
    many, size, limit = 160, 1 << 20, 131_072
    rest = (GREETING if not before else b"250 now\n") + GOOD
    with (folder / "long").open("wb") as server:
        server.write(before)
        for _ in range(many):
            server.write(b"220-" if not before else b"250-")
            server.seek(size - 10, os.SEEK_CUR)
            server.write(b"x\n")
        server.write(rest)
    script = f"exec 6<long 7>said; ulimit -v {limit}; exec serialsmtp Account- Host"
    env = {**environment(), "PATH": f"{BIN}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], input=b"one\0", cwd=folder, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"one\0K250 thanks\n", b"")
    assert (folder / "said").read_bytes() == HELLO + SAID + b"QUIT\r\n"


def test_a_name_is_printed_in_one_line_and_a_pipe_is_not_waited_for(folder: Path) -> None:
    done, _ = smtp(folder, GREETING, "a\n\x1b[31m")
    assert done.err == b"serialsmtp: fatal: unable to open a??[31m: file does not exist\n"
    os.mkfifo(folder / "pipe")
    assert smtp(folder, GREETING + b"250 reset\n" + GOOD, "pipe", "one")[0] == (0, b"one\0K250 thanks\n", b"")
    assert qmtp(folder, b"7:Kthanks,", "pipe", "one")[0] == (0, b"one\0Kthanks\n", b"")
