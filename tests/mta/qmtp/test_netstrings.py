"""Netstrings from a client, however they are cut and however they end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.qmtp import netstrings
from mta.qmtp.netstrings import Malformed, Netstrings, TooLarge, Wire, netstring
from supervise.fd import Closed, TimedOut


@contextmanager
def wire(text: bytes, seconds: float = 60) -> Iterator[Wire]:
    """A client that has said *text* and no more."""
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    made = Wire(seconds)
    made.reader.fd = reading
    try:
        yield made
    finally:
        os.close(reading)


@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_what_is_written_is_read(texts: list[bytes]) -> None:
    with wire(b"".join(map(netstring, texts))) as client:
        strings = Netstrings(client)
        assert [strings.text(2000) for _ in texts] == texts
        with pytest.raises(Closed):
            strings.text(2000)


@given(st.binary(min_size=1, max_size=5000), st.data())
def test_a_client_may_pause_anywhere(text: bytes, data: st.DataObject) -> None:
    whole = netstring(text)
    cut = data.draw(st.integers(1, len(whole) - 1))
    pieces = [whole[:cut], whole[cut:]]

    class Paused(Wire):
        def _fill(self) -> None:
            if not pieces:
                raise Closed
            self.buffer, self.at = pieces.pop(0), 0

    assert Netstrings(Paused(60)).text(5000) == text


@pytest.mark.parametrize("text", [b"x:", b"1x:a,", b"-1:", b" 1:a,", b"3:abc;", b"3:abcd", b",", b"\0"])
def test_what_is_no_netstring_is_malformed(text: bytes) -> None:
    with wire(text) as client, pytest.raises(Malformed):
        Netstrings(client).text(100)


def test_an_endless_length_is_not_read_to_its_end() -> None:
    with wire(b"2" * 10_000) as client, pytest.raises(TooLarge):
        Netstrings(client).length()


def test_zeros_in_front_of_a_length_mean_nothing() -> None:
    with wire(b"0003:abc,") as client:
        assert Netstrings(client).text(3) == b"abc"


def test_a_netstring_cannot_reach_beyond_the_one_around_it() -> None:
    for text in b"3:abc,", b"3:a", b"12345", b"5:abc":
        with wire(text + b"more than enough") as client, pytest.raises(Malformed):
            Netstrings(client, 5).text(100)


def test_what_is_too_long_is_read_and_forgotten() -> None:
    with wire(netstring(b"x" * 50_000) + netstring(b"y")) as client:
        strings = Netstrings(client)
        assert (strings.text(49_999), strings.text(1)) == (None, b"y")


@pytest.mark.parametrize(("text", "fit"), [(b"x" * 999, True), (b"x" * 1000, False), (b"a\0b", False), (b"", True)])
def test_an_address_is_what_an_envelope_can_have(text: bytes, fit: bool) -> None:
    with wire(netstring(text)) as client:
        assert Netstrings(client).address() == (text if fit else None)


def test_answers_are_said_when_we_wait_and_not_before() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Wire(60)
        client.reader.fd = client.writer.fd = theirs.fileno()
        client.answer(b"one,")
        client.answer(b"two,")
        with pytest.raises(BlockingIOError):
            ours.recv(100, socket.MSG_DONTWAIT)
        ours.sendall(b"x")
        client.byte()
        assert ours.recv(100) == b"one,two,"


def test_the_time_is_for_everything_and_not_for_each_wait() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Wire(0.1)
        client.reader.fd = theirs.fileno()
        with pytest.raises(TimedOut):
            while True:  # a byte now and then does not help
                ours.sendall(b"1")
                client.byte()


@pytest.mark.parametrize(
    ("error", "code"), [(Closed, 0), (Malformed, 100), (TooLarge, 111), (TimedOut, 111)], ids=lambda value: str(value)
)
def test_each_end_has_its_exit_code(error: type[Exception], code: int) -> None:
    def converse(client: Wire) -> None:
        raise error

    assert netstrings.serve(converse) == code


def test_a_client_that_goes_wrong_hears_what_became_of_what_was_right(capfd: pytest.CaptureFixture[str]) -> None:
    def converse(wrong: type[Exception]) -> Callable[[Wire], None]:
        def say(client: Wire) -> None:
            client.answer(b"done,")
            raise wrong

        return say

    for wrong in Malformed, TooLarge:
        netstrings.serve(converse(wrong))
        assert capfd.readouterr().out == "done,"
