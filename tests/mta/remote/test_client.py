"""The client's side of SMTP, without a socket."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mta.smtp.client import (
    DATA,
    GREETING,
    HELO,
    KEPT,
    LONGEST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    Conversation,
    Partial,
    Reply,
    read_reply,
    transparent,
)
from supervise.fd import Closed, Reader


def on_the_wire(*pieces: bytes) -> bytes:
    return b"".join(transparent(pieces))


# -- the message -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b""),
        (b"a\n", b"a\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b".\n", b"..\r\n"),
        (b"a\n.\n..\n.b\n", b"a\r\n..\r\n...\r\n..b\r\n"),
        (b"a.\n", b"a.\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b"a\r", b"a\r\n"),
        (b"a\rb\n", b"a\r\nb\r\n"),
        (b"a\r\rb\n", b"a\r\n\r\nb\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n"),
        (b"\r", b"\r\n"),
    ],
)
def test_lines_end_in_crlf_and_leading_dots_are_doubled(message: bytes, wire: bytes) -> None:
    assert on_the_wire(message) == wire


@pytest.mark.parametrize(
    "message",
    [
        b"a\r.\nb\n",
        b"a\r.\r\nb\n",
        b"a\r.\rb\n",
        b"a\n.\rb\n",
        b"a\n.\r\nb\n",
        b"a\r\n.\r\nb\n",
        b"a\r\n.\nb\n",
        b"a\r\r.\r\rb\n",
        b".\rMAIL FROM:<x>\rRCPT TO:<y>\r",
    ],
)
def test_no_message_can_end_itself(message: bytes) -> None:
    for cut in range(len(message) + 1):
        wire = on_the_wire(message[:cut], message[cut:])
        assert wire == on_the_wire(message)
        assert b"\r\n.\r\n" not in b"\r\n" + wire


@given(some.lists(some.text("a.\r\n", max_size=6).map(str.encode), max_size=8))
def test_whatever_the_pieces_only_whole_line_ends_go_out_and_nothing_is_lost(pieces: list[bytes]) -> None:
    message = b"".join(pieces)
    lines = re.split(rb"\r\n|\r|\n", message)
    try:
        wire = on_the_wire(*pieces)
    except Partial:
        assert lines[-1]
        return
    assert not lines[-1]
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)
    assert wire.split(b"\r\n") == [b"." + line if line.startswith(b".") else line for line in lines]


@pytest.mark.parametrize("message", [b"a", b".", b"a\nb", b"a\r\nb", b"a\rb"])
def test_a_last_line_without_end_cannot_be_sent(message: bytes) -> None:
    with pytest.raises(Partial):
        on_the_wire(message)
    with pytest.raises(Partial):
        on_the_wire(*(bytes([byte]) for byte in message))


# -- replies -----------------------------------------------------------------------------


def replies(data: bytes, count: int = 1) -> list[Reply]:
    """The first replies in what a server says."""
    reading, writing = os.pipe()
    child = os.fork()  # more than a pipe holds
    if child == 0:
        os.close(reading)
        try:
            while data:
                data = data[os.write(writing, data) :]
        finally:
            os._exit(0)
    os.close(writing)
    try:
        reader = Reader(reading)
        return [read_reply(reader) for _ in range(count)]
    finally:
        os.close(reading)
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (b"250 ok\r\n", 250, b"250 ok\n"),
        (b"250\r\n", 250, b"250\n"),
        (b"250\n", 250, b"250\n"),
        (b"250ok\n", 250, b"250ok\n"),
        (b"250-a\r\n250-b\r\n250 c\r\n", 250, b"250-a\n250-b\n250 c\n"),
        (b"550-a\r\n250 b\r\n", 550, b"550-a\n250 b\n"),
        (b"250-a\r\nab\r\n", 250, b"250-a\nab\n"),
        (b"550 a\rb\0c\xff\r\r\n", 550, b"550 ab?c\xff\n"),
        (b"\r\n250 late\r\n", 999, b"\n250 late\n"),
        (b"999 what\r\n", 999, b"999 what\n"),
    ],
)
def test_a_reply_has_the_code_of_its_first_line_and_the_text_of_all(data: bytes, code: int, text: bytes) -> None:
    first, second = replies(data + b"221 bye\r\n", 2)
    assert (first.code, first.text) == (code, text)
    assert (second.code, second.text) == (221, b"221 bye\n")


def test_of_a_long_reply_the_beginning_is_kept() -> None:
    first, second = replies(b"550-" + b"x" * 9000 + b"\r\n" + b"550 " + b"y" * 300_000 + b"\r\n250 ok\r\n", 2)
    assert first.text == (b"550-" + b"x" * 9000)[:KEPT]
    assert second.text == b"250 ok\n"


@pytest.mark.parametrize("data", [b"250 " + b"x" * (2 * LONGEST), b"250-x\r\n" * (LONGEST // 3)])
def test_a_reply_that_does_not_end_is_none(data: bytes) -> None:
    with pytest.raises(Closed):
        replies(data)


@pytest.mark.parametrize("data", [b"", b"2", b"250", b"250 ok", b"250-ok\r\n", b"250-ok\r\n250"])
def test_a_reply_that_is_cut_off_is_none(data: bytes) -> None:
    with pytest.raises(Closed):
        replies(data)


# -- the conversation --------------------------------------------------------------------


def talk(codes: Iterable[int], recipients: list[bytes]) -> tuple[list[bytes], bytes, int, list[int]]:
    """What is said when the server answers with *codes*; how far it came, the last code, those of the recipients."""
    conversation = Conversation(b"me", b"joe@x", recipients)
    steps = conversation.steps()
    said = [next(steps)]
    try:
        for code in codes:
            said.append(steps.send(Reply(code, b"")))
    except StopIteration as end:
        stage, reply = end.value
        return said[1:], stage, reply.code, [answer.code for answer in conversation.answers]
    raise AssertionError("it goes on")


def test_a_message_is_offered_step_by_step() -> None:
    said, stage, code, answers = talk([220, 250, 250, 250, 550, 354, 250], [b"a@y", b"b@y"])
    assert said == [
        b"HELO me\r\n",
        b"MAIL FROM:<joe@x>\r\n",
        b"RCPT TO:<a@y>\r\n",
        b"RCPT TO:<b@y>\r\n",
        b"DATA\r\n",
        MESSAGE,
    ]
    assert (stage, code, answers) == (MESSAGE, 250, [250, 550])


@pytest.mark.parametrize(
    ("codes", "stage"),
    [
        ([221], GREETING),
        ([220, 251], HELO),
        ([220, 250, 400], SENDER),
        ([220, 250, 999], SENDER),
        ([220, 250, 250, 400], RECIPIENTS),
        ([220, 250, 250, 250, 450], DATA),
        ([220, 250, 250, 250, 354, 450], MESSAGE),
        ([220, 250, 399, 399, 399, 399], MESSAGE),
    ],
)
def test_a_refusal_ends_it(codes: list[int], stage: bytes) -> None:
    assert talk(codes, [b"a@y"])[1:3] == (stage, codes[-1])


@pytest.mark.parametrize("bad", [b"a\nb@y", b"a\rb@y", b"a@y\r\nDATA"])
def test_a_recipient_with_a_line_end_is_never_said(bad: bytes) -> None:
    said, stage, _, answers = talk([220, 250, 250, 250, 354, 250], [bad, b"b@y"])
    assert stage == MESSAGE
    assert answers == [553, 250]
    assert not any(b"a" in command for command in said[2:3])
    assert talk([220, 250, 250], [bad])[1] == RECIPIENTS
