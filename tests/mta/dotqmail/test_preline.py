"""preline and qsmhook: a program gets the message with an mbox's lines on top."""

from __future__ import annotations

import pytest
from commands import Result
from injecting import Home

FROM, PATH, TO = (
    b"From joe@irs.gov Thu Jan 01 00:00:00 2026\n",
    b"Return-Path: <joe@irs.gov>\n",
    (b"Delivered-To: bill@heaven.af.mil\n"),
)


@pytest.mark.parametrize("message", [b"", b"\n", b"no end", b"\0\xff\r\n" * 300_000])
def test_a_message_of_any_bytes_comes_through(home: Home, message: bytes) -> None:
    assert home.command("preline", "cat", text=message) == (0, FROM + PATH + TO + message, b"")
    assert home.command("qsmhook", "cat", text=message) == (0, FROM + message, b"")


def test_the_last_of_two_letters_counts(home: Home) -> None:
    assert home.command("preline", "-frFdRfD", "cat").out == PATH + TO
    assert home.command("preline", "-f", "-r", "--", "cat").out == TO


def test_a_program_that_leaves_much_unread_has_not_taken_the_message(home: Home) -> None:
    """A few bytes it may leave, as those that look at the header do."""
    idle = "exec <&-; exit 0"
    assert home.command("preline", "sh", "-c", idle, text=b"x\n").code == 0
    done = home.command("preline", "sh", "-c", idle, text=b"x\n" * 1_000_000)
    assert (done.code, done.err) == (111, b"preline: fatal: unable to copy input: broken pipe\n")
    assert home.command("qsmhook", "sh", "-c", idle, text=b"x\n" * 1_000_000) == (0, b"", b"")


@pytest.mark.parametrize("command", ["preline", "qsmhook"])
def test_a_part_of_a_message_is_never_taken_for_the_whole(home: Home, command: str) -> None:
    """A program that reads to the end does not see one when the message cannot be read."""
    taken = home.folder / "taken"
    done = home.command("sh", "-c", f"exec {command} sh -c 'cat >/dev/null && echo all >{taken}' 0>/dev/null")
    assert done.code == 111 and done.err.startswith(f"{command}: fatal: unable to ".encode())
    assert not taken.exists()


def mailer(home: Home, *argv: str) -> Result:
    return home.command("qsmhook", *argv, text=b"body\n")


def test_qsmhook_fills_in_the_letters_of_sendmail(home: Home) -> None:
    said = ["%g to %u at %h", "100%%", "%z%", "%%g", "a%gb%u"]
    wanted = b"joe@irs.gov to bill-Ext at heaven.af.mil|100%||%g|ajoe@irs.govbbill-Ext|"
    assert mailer(home, "printf", "%%s|", *said).out == wanted


def test_qsmhook_takes_prefixes_off_in_any_case(home: Home) -> None:
    for options, local in (("-xBILL-", b"Ext"), ("-xbill", b"-Ext"), ("-xsue", b"bill-Ext"), ("-x", b"bill-Ext")):
        words = [options] if len(options) > 2 else [options, ""]
        assert mailer(home, *words, "echo", "%u").out == local + b"\n"


def test_qsmhook_has_the_lines_that_are_asked_for(home: Home) -> None:
    assert mailer(home, "-DFMmsnPl", "cat").out == PATH + TO + b"body\n"
    assert mailer(home, "-l", "cat").out == FROM + TO + b"body\n"


def test_qsmhook_says_what_is_wrong(home: Home) -> None:
    assert mailer(home) == (100, b"", b"qsmhook: fatal: incorrect usage\n")
    assert mailer(home, "-z", "cat") == (100, b"", b"qsmhook: illegal option -- z\n")
    assert mailer(home, "no-such-program") == (100, b"", b"qsmhook: fatal: command not found\n")
    assert mailer(home, "sh", "-c", "kill -9 $$") == (111, b"", b"qsmhook: fatal: temporary problem\n")
    assert mailer(home, "sh", "-c", "exit 77").code == 77
    home.env["HOST"] = None
    assert mailer(home, "cat").err == b"qsmhook: fatal: incorrect usage\n"
