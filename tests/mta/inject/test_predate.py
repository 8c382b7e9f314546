"""predate, datemail, mailsubj: a field or two more, and on to who sends it."""

from __future__ import annotations

import pytest
from injecting import Home

BODY = b"To: sue@x.y\n\n" + b"x\0\xff\n" * 100_000


def test_predate_gives_a_program_the_message_under_a_date(home: Home) -> None:
    done = home.command("predate", "cat", text=BODY, TZ="XXX-5:30")
    date, _, rest = done.out.partition(b"\n")
    assert date.startswith(b"Date: ") and date.endswith(b" +0530")
    assert (done.code, rest, done.err) == (0, BODY, b"")


def test_predate_ends_as_its_program_does_however_little_that_reads(home: Home) -> None:
    assert home.command("predate", "sh", "-c", "exec <&-; exit 7", text=BODY) == (7, b"", b"")
    assert home.command("predate", "sh", "-c", "kill -9 $$") == (111, b"", b"predate: fatal: child crashed\n")
    done = home.command("predate", "/etc/passwd")
    assert done == (111, b"", b"predate: fatal: unable to run /etc/passwd: access denied\n")


def test_datemail_sends_with_the_date_of_the_senders_zone(home: Home) -> None:
    assert home.command("datemail", "-t", "-fann@x.y", text=BODY, TZ="XXX+8").code == 0
    assert home.envelope == [b"Fann@x.y", b"Tsue@x.y"]
    dates = [line for line in home.message.split(b"\n") if line.startswith(b"Date: ")]
    assert len(dates) == 1 and dates[0].endswith(b" -0800")


def test_mailsubj_sends_what_it_reads_under_a_header_of_its_own(home: Home) -> None:
    assert home.command("mailsubj", "what  is\\n new", "joe@x.y", "-n", text=b"From: not me\n\nbody").code == 0
    assert home.envelope[0] == b"Fjoe@heaven.af.mil"
    assert sorted(home.envelope[1:]) == [b"T-n@heaven.af.mil", b"Tjoe@x.y"]
    header, _, text = home.message.partition(b"\n\n")
    assert b"Subject: what  is\\n new" in header.split(b"\n")
    assert text == b"From: not me\n\nbody\n"


def test_an_argument_of_mailsubj_adds_no_field(home: Home) -> None:
    assert home.command("mailsubj", "a\nBcc: spy@x.y\n\nbody", "joe@x.y\nBcc: spy@x.y", text=b"text\n").code == 0
    assert b"Subject: a Bcc: spy@x.y  body" in home.message.split(b"\n")
    assert home.message.endswith(b"\n\ntext\n") and b"\nBcc:" not in home.message


@pytest.mark.parametrize("command", ["mailsubj s joe@x.y", "datemail joe@x.y"])
def test_what_cannot_be_read_to_its_end_is_not_sent(home: Home, command: str) -> None:
    done = home.command("sh", "-c", f"exec {command} 0>/dev/null")
    assert done.code == 111 and done.err.count(b"\n") == 1
    assert not (home.folder / "envelope").exists() or home.envelope == [b""]


def test_wrong_usage_gets_the_synopsis(home: Home) -> None:
    assert home.command("predate") == (100, b"", b"predate: usage: predate child\n")
    assert home.command("mailsubj") == (100, b"", b"mailsubj: usage: mailsubj subject [ recip ... ]\n")
