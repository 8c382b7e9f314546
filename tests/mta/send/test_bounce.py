from __future__ import annotations

import pytest
from sending import Home

from mta.queue import layout
from mta.send.bounce import Notes, beginning, middle, paragraph
from mta.send.controls import Controls
from mta.send.log import Log
from mta.send.state import State


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (b"", b"<a@b>:\n\n"),
        (b"no\n", b"<a@b>:\nno\n\n"),
        (b"no", b"<a@b>:\nno\n\n"),
        (b"no\nlines\n\nhere\n\n\nend", b"<a@b>:\nno\nlines\n/here\n//end\n\n"),
        (b"\nno\n", b"<a@b>:\n/no\n\n"),
    ],
)
def test_a_paragraph_has_no_empty_line_inside(report: bytes, expected: bytes) -> None:
    assert paragraph(b"a@b", report) == expected


def test_a_line_feed_in_a_recipient_does_not_end_its_line() -> None:
    assert paragraph(b"a\n>:\nb@c", b"no\n") == b"<a_>:_b@c>:\nno\n\n"


def test_the_sender_is_told(queue: Home) -> None:
    queue.control("bouncefrom", "mailer daemon")
    queue.control("bouncehost", "bounce.example.org")
    text = beginning(b"sue x@example.net", b"sue x@example.net", Controls(), b"1 Jan 2026 00:00:00 -0000")
    assert text + middle(b"sue x@example.net") == (
        b"Date: 1 Jan 2026 00:00:00 -0000\n"
        b'From: "mailer daemon"@bounce.example.org\n'
        b'To: "sue x"@example.net\n'
        b"Subject: failure notice\n"
        b"\n"
        b"Hi. This is the qmail-send program at bounce.example.org.\n"
        b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        b"This is a permanent error; I've given up. Sorry it didn't work out.\n"
        b"\n"
        b"--- Below this line is a copy of the message.\n"
        b"\n"
        b'Return-Path: <"sue x"@example.net>\n'
    )


def test_the_postmaster_is_told_of_a_bounce_that_bounced(queue: Home) -> None:
    text = beginning(b"", b"postmaster@mail.example.org", Controls(), b"1 Jan 2026 00:00:00 -0000")
    assert text + middle(b"") == (
        b"Date: 1 Jan 2026 00:00:00 -0000\n"
        b"From: MAILER-DAEMON@mail.example.org\n"
        b"To: postmaster@mail.example.org\n"
        b"Subject: failure notice\n"
        b"\n"
        b"Hi. This is the qmail-send program at mail.example.org.\n"
        b"I tried to deliver a bounce message to this address, but the bounce bounced!\n"
        b"\n"
        b"--- Below this line is the original bounce.\n"
        b"\n"
        b"Return-Path: <>\n"
    )


def test_a_note_that_cannot_be_written_is_tried_again(queue: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on without it, because a recipient who is done without a note is forgotten."""
    queue.control("virtualdomains", "virt.example:joe")
    blocked = queue.file(layout.bounce(7))
    blocked.mkdir()
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        blocked.rmdir()

    monkeypatch.setattr("time.sleep", nap)
    with (queue.home / "log").open("wb") as log:
        notes = Notes(State(Log(log.fileno()), Controls()))
        notes.add(7, b"joe-a@virt.example", b"no\n")
        notes.sync()
        notes.add(7, b"b@far.example", b"never\n")
        notes.sync()
    assert naps == [10]
    assert queue.file(layout.bounce(7)).read_bytes() == b"<a@virt.example>:\nno\n\n<b@far.example>:\nnever\n\n"
    assert (queue.home / "log").read_text() == "alert: unable to append to bounce message; HELP! sleeping...\n"
