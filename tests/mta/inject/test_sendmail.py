"""sendmail, as programs run it."""

from __future__ import annotations

import pytest
from commands import BIN
from injecting import Home

MESSAGE = b"To: bill\nBcc: sue\n\nhello\n"
USAGE = b"sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]\n"


@pytest.mark.parametrize(
    ("argv", "sender", "recipients"),
    [
        (["bob"], b"joe", [b"bob"]),
        (["-t"], b"joe", [b"bill", b"sue"]),
        (["-t", "bob"], b"joe", [b"bob", b"bill", b"sue"]),
        (["-t", "-i", "-oi", "-fann", "-bm", "-EX", "-J"], b"ann", [b"bill", b"sue"]),
        (["-f", "ann", "--", "-bob"], b"ann", [b"-bob"]),
        ([], b"joe", []),
    ],
)
def test_a_message_goes_to_qmail_inject(home: Home, argv: list[str], sender: bytes, recipients: list[bytes]) -> None:
    assert home.command("sendmail", *argv, text=MESSAGE) == (0, b"", b"")
    host = b"@heaven.af.mil"
    assert home.envelope[0] == b"F" + sender + host
    assert [record for record in home.envelope[1:] if record] == [b"T" + name + host for name in recipients]
    assert b"From: " + sender + host in home.message


def test_a_name_stands_in_from(home: Home) -> None:
    home.command("sendmail", "-FJoe Q", "bob", text=MESSAGE)
    assert b'\nFrom: "Joe Q" <joe@heaven.af.mil>\n' in home.message


def test_a_sender_with_a_host_is_the_author(home: Home) -> None:
    home.command("sendmail", "-fann b@irs.gov", "bob", text=MESSAGE, QMAILNAME="Joe", MAILHOST="x.y")
    assert b'\nFrom: "ann b"@irs.gov\n' in home.message
    assert home.envelope[0] == b"Fann b@irs.gov"


@pytest.mark.parametrize("option", ["-bi", "-bd", "-bz"])
def test_other_modes_do_not_exist(home: Home, option: str) -> None:
    assert home.command("sendmail", option) == (100, b"", USAGE)


def test_an_option_acts_before_the_next_is_wrong(home: Home) -> None:
    assert home.command("sendmail", "-Z", "-bs") == (100, b"", b"sendmail: illegal option -- Z\n" + USAGE)
    assert home.command("sendmail", "-bs", "-Z", text=b"QUIT\r\n").out.startswith(b"220 heaven.af.mil ESMTP\r\n")


@pytest.mark.parametrize(("given", "reply"), [({}, b"250 ok"), ({"PROTO": "TCP"}, b"553 sorry")])
def test_the_caller_may_relay_over_smtp(home: Home, given: dict[str, str], reply: bytes) -> None:
    (home.folder / "control/rcpthosts").write_text("irs.gov\n")
    done = home.command("sendmail", "-bs", text=b"MAIL FROM:<>\r\nRCPT TO:<bill@x.y>\r\nQUIT\r\n", **given)
    assert done.code == 0
    assert done.out.split(b"\r\n")[2].startswith(reply)


def test_mailq_and_newaliases_are_names_of_it(home: Home) -> None:
    for name in ("mailq", "newaliases"):
        (home.folder / name).symlink_to(BIN / "sendmail")
    (home.folder / "bin").mkdir()
    reader = home.folder / "bin/qmail-qread"
    reader.write_text("#!/bin/sh\necho shown\n")
    reader.chmod(0o755)
    assert home.command(home.folder / "mailq", "-v") == (0, b"shown\n", b"")
    assert home.command("sendmail", "-bp", "-Z") == (0, b"shown\n", b"")
    done = home.command(home.folder / "newaliases")
    assert done == (100, b"", b"sendmail: fatal: please use fastforward/newaliases instead\n")


def test_a_home_that_is_not_there_is_trouble_that_may_pass(home: Home) -> None:
    assert home.command("sendmail", "bob", QMAILHOME="/nowhere") == (
        111, b"", b"sendmail: fatal: unable to switch to /nowhere: file does not exist\n",
    )  # fmt: skip
