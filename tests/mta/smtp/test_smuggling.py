"""SMTP smuggling: endings of a message that one server takes for the end and another for text.

Each is played to qmail-smtpd.  What that takes is handed to qmail-remote as it lies in the queue, and in what goes out
there must be nothing that anybody could take for an end.  (A NUL goes out as it came in, like any other byte.)
"""

from __future__ import annotations

import re
from itertools import product

import pytest
from commands import run
from peer import GOOD, Peer
from receiving import Home
from tcp import Server

ENVELOPE = b"MAIL FROM:<joe@irs.gov>\r\nRCPT TO:<bill@heaven.af.mil>\r\nDATA\r\n"
SECOND = b"MAIL FROM:<evil@irs.gov>\r\nRCPT TO:<victim@heaven.af.mil>\r\nDATA\r\nevil\r\n"
END = b"\r\n.\r\n"
REFUSED = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"

# before and after the dot
BREAKS = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\r",
    b"\r\0\n",
    b"\r\n\0",
    b"\0\r\n",
    b"\0\n",
    b"\n\0",
    b"\0",
]
ENDINGS = [before + dot + after for before, dot, after in product(BREAKS, (b".", b"..", b". "), BREAKS)]
FALSE_ENDINGS = [ending for ending in ENDINGS if END not in ending]


def test_the_published_endings_are_among_those_played() -> None:
    published = (
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\r\r\n",
        b"\r.\n",
    )
    assert set(published) <= set(FALSE_ENDINGS)
    assert len(FALSE_ENDINGS) > 400


def test_only_a_dot_between_whole_line_ends_ends_a_message(home: Home) -> None:
    """One server, and for each ending a client that plays a second message behind it."""
    variables = {"QMAILHOME": home.env["QMAILHOME"], "QMAILQUEUE": home.env["QMAILQUEUE"]}
    taken = refused = 0
    with Server("qmail-smtpd", env=variables) as server:
        for ending in FALSE_ENDINGS:
            said = server.ask(say=ENVELOPE + b"one" + ending + SECOND + END + b"QUIT\r\n")
            after = said.partition(b"354 go ahead\r\n")[2]
            if b"\n" in (b"one" + ending + SECOND).replace(b"\r\n", b""):
                assert after == REFUSED, ending
                refused += 1
            else:
                assert re.fullmatch(rb"250 ok \d+ qp \d+\r\n221 heaven.af.mil\r\n", after), ending
                assert SECOND.replace(b"\r\n", b"\n") in home.message(), ending
                assert home.envelope() == b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0\0"
                taken += 1
        assert (taken > 100, refused > 100) == (True, True)


def test_the_true_ending_does(home: Home) -> None:
    said = home.smtpd(ENVELOPE + b"one" + END + SECOND + END + b"QUIT\r\n").out
    assert said.count(b"354 go ahead\r\n250 ok ") == 2
    assert home.envelope() == b"Fevil@irs.gov\0Tvictim@heaven.af.mil\0\0"


def sent(home: Home, message: bytes) -> bytes:
    """What qmail-remote says to a server after DATA, for *message* as it lies in the queue."""
    with Peer(GOOD) as peer:
        home.control(smtproutes=f":127.0.0.1:{peer.port}")
        done = run("qmail-remote", "y", "joe@x", "bill@y", input=message, env=home.env)
    assert done.out.startswith(b"r\0K"), done
    return peer.heard[0].partition(b"DATA\r\n")[2]


@pytest.mark.parametrize(
    "message", [b"".join(b"one%sRSET\n" % ending for ending in ENDINGS), b"\r.\r.\n.\r\n.\n\r.\r\r"]
)
def test_no_message_that_goes_out_can_end_before_its_end(home: Home, message: bytes) -> None:
    """All endings in one message, the true one too: whoever has put it into the queue, by whatever way."""
    wire = sent(home, message)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)
    body, end, farewell = wire.partition(b"\r\n.\r\n")
    assert (end, farewell) == (END, b"QUIT\r\n")
    assert b"." not in body.split(b"\r\n")
    expected = [b"." + line if line.startswith(b".") else line for line in re.split(rb"\r\n|\r|\n", message)]
    assert [*body.split(b"\r\n"), b""] == expected


def test_what_comes_in_with_any_ending_goes_out_without_one(home: Home) -> None:
    """From client to server through both programs."""
    endings = [ending for ending in FALSE_ENDINGS if b"\n" not in ending.replace(b"\r\n", b"")]
    home.smtpd(ENVELOPE + b"".join(b"one%sRSET" % ending for ending in endings) + END + b"QUIT\r\n")
    body, end, farewell = sent(home, home.message()).partition(END)
    assert (end, farewell) == (END, b"QUIT\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", body)
    assert body.count(b"RSET") == len(endings)
