from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.smtp.data import BareNewline, Body

# Made of the bytes that matter, so that short examples meet every rule.
TEXTS = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b".", b"\r\n.", b"\r\n.\r\n", b"x", b"Received", b"delivered", b"\r\n\r\n"]
    ),
    max_size=30,
).map(b"".join)


def decoded(text: bytes, *cuts: int) -> tuple[bytes, bool, bytes, int] | None:
    """What a body makes of *text*, cut at *cuts*: message, ended, rest, hops; None when it is refused."""
    body = Body()
    message = b""
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    for start, end in pairwise(places):
        try:
            message += body.feed(text[start:end])
        except BareNewline:
            return None
        if body.ended:
            return message, True, body.rest + text[end:], body.hops
    return message, False, b"", body.hops


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\n"),
        (b"a\r\n.\r\n", b"a\n"),
        (b".. two\r\n...\r\n.x\r\n..\r\na.b\r\n.\r\n", b". two\n..\nx\n.\na.b\n"),
        (b"a\rb\r\rc\r\r\nd\r\n.\r\n", b"a\rb\r\rc\r\nd\n"),
        (b".\rx\r\n.\r\r\n.\r\n", b".\rx\n.\r\n"),
        (b"a\r\r\n.x\r\n.\r\n", b"a\r\nx\n"),
        (b"a\r\n\r\n..\r\n.\r\n", b"a\n\n.\n"),
        (b"\0\xff\r\n.\r\n", b"\0\xff\n"),
    ],
)
def test_dots_and_line_ends_of_the_wire_are_taken_away(text: bytes, message: bytes) -> None:
    assert decoded(text) == (message, True, b"", 0)


@pytest.mark.parametrize(
    "text", [b"\n", b"a\nb", b"a\r\n.\n", b"a\n.\r\n", b"a\r\n\n.\r\n", b"\n.\n", b"a\r\n.x\ny\r\n"]
)
def test_a_bare_newline_is_refused_wherever_the_text_is_cut(text: bytes) -> None:
    for cut in range(len(text) + 1):
        assert decoded(text, cut) is None


@pytest.mark.parametrize(
    "text", [b"a\r.\r\n", b"a\r\n.\r", b"a\r\n.\r\r\n", b"a\r\n\0.\r\n", b"a\r\n. \r\n", b"a\r\r.\r\r"]
)
def test_nothing_but_a_lone_dot_between_line_ends_is_the_end(text: bytes) -> None:
    found = decoded(text)
    assert found is not None
    assert not found[1]


def test_what_follows_the_end_is_left_alone() -> None:
    assert decoded(b"a\r\n.\r\nQUIT\nx") == (b"a\n", True, b"QUIT\nx", 0)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
def test_it_does_not_matter_where_the_text_is_cut(text: bytes, cuts: list[int]) -> None:
    whole, parts = decoded(text), decoded(text, *cuts)
    if parts is not None and whole is not None and whole[1]:
        assert parts == whole
    elif whole is not None:
        assert parts is not None and parts[1] == whole[1] and parts[3] == whole[3]
        assert whole[0].startswith(parts[0]) and len(whole[0]) - len(parts[0]) <= 4
    else:
        assert parts is None


@given(TEXTS)
def test_bytes_one_by_one_give_the_same_as_all_at_once(text: bytes) -> None:
    text += b"\r\n.\r\n"
    assert decoded(text, *range(len(text))) == decoded(text)


@given(
    st.binary(max_size=200).map(lambda message: message.replace(b"\r", b"")), st.lists(st.integers(0, 300), max_size=5)
)
def test_a_message_sent_by_the_rules_arrives_as_it_was(message: bytes, cuts: list[int]) -> None:
    message += b"\n"
    lines = message[:-1].split(b"\n")
    wire = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
    found = decoded(wire, *cuts)
    assert found is not None
    assert found[:3] == (message, True, b"")


def hops(header: bytes, *cuts: int) -> int:
    found = decoded(header + b".\r\n", *cuts)
    assert found is not None
    return found[3]


@pytest.mark.parametrize(
    ("header", "count"),
    [
        (b"Received: a\r\nDelivered-To: b\r\n", 2),
        (b"received\r\nDELIVEREDx\r\nReceive: d\r\n", 2),
        (b"Subject: x\r\n\r\nReceived: a\r\n", 0),
        (b"\r\nReceived: a\r\n", 0),
        (b".Received: a\r\n", 0),
        (b" Received: a\r\nX-Received: b\r\n", 0),
        (b"\rReceived: a\r\n", 0),
        (b"Received: a\r\n\r\r\nReceived: b\r\n", 2),
        (b"Received: a\r\n" * 99, 99),
    ],
)
def test_hops_are_header_lines_that_begin_with_received_or_delivered(header: bytes, count: int) -> None:
    assert hops(header) == count
    assert hops(header, *range(len(header))) == count
    for cut in range(min(len(header), 60)):
        assert hops(header, cut) == count


def test_a_large_message_takes_no_byte_loop() -> None:
    text = (b"x" * 70 + b"\r\n") * 500_000
    body = Body()
    began = time.process_time()
    for at in range(0, len(text), 65536):
        body.feed(text[at : at + 65536])
    assert time.process_time() - began < 2  # 36 MB; a loop over bytes would take five
