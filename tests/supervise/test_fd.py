"""Descriptors: whole writes, copies, lines."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from supervise.fd import Closed, Reader, TimedOut, Writer, chunks, copy, read_all, write_all


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            pass


def filled(pipe: tuple[int, int], data: bytes) -> int:
    write_all(pipe[1], data)
    os.close(pipe[1])
    return pipe[0]


def test_more_than_a_pipe_holds_is_written_whole(pipe: tuple[int, int]) -> None:
    data = os.urandom(300_000)
    writer = threading.Thread(target=filled, args=(pipe, data))
    writer.start()
    assert read_all(pipe[0]) == data
    writer.join()


def test_chunks_end_with_the_input(pipe: tuple[int, int]) -> None:
    assert list(chunks(filled(pipe, b"abcde"), 2)) == [b"ab", b"cd", b"e"]


def test_copy_counts_the_bytes(pipe: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    assert copy(filled(pipe, b"x" * 1000), writing) == 1000
    os.close(writing)
    assert read_all(reading) == b"x" * 1000
    os.close(reading)


def test_lines_come_one_by_one_and_the_last_without_its_end(pipe: tuple[int, int]) -> None:
    reader = Reader(filled(pipe, b"one\n\ntwo"))
    assert [reader.line() for _ in range(4)] == [b"one\n", b"\n", b"two", None]


def test_an_end_of_two_bytes_may_be_split_between_two_reads(pipe: tuple[int, int]) -> None:
    reader = Reader(pipe[0])
    os.write(pipe[1], b"one\r")
    assert reader.fill()
    os.write(pipe[1], b"\ntwo\r\n")
    assert (reader.line(end=b"\r\n"), reader.line(end=b"\r\n")) == (b"one\r\n", b"two\r\n")


def test_a_long_line_comes_in_bounded_pieces(pipe: tuple[int, int]) -> None:
    reader = Reader(filled(pipe, b"x" * 250 + b"\n"))
    pieces = []
    while piece := reader.line(limit=100):
        pieces.append(piece)
    assert b"".join(pieces) == b"x" * 250 + b"\n"


def test_take_gives_exactly_what_is_asked_for(pipe: tuple[int, int]) -> None:
    reader = Reader(filled(pipe, b"12345"))
    assert (reader.take(3), reader.take(3), reader.take(3)) == (b"123", b"45", b"")


def test_a_silent_peer_times_out(pipe: tuple[int, int]) -> None:
    with pytest.raises(TimedOut):
        Reader(pipe[0], timeout=0.01).line()


def test_a_peer_that_takes_nothing_times_out(pipe: tuple[int, int]) -> None:
    with pytest.raises(TimedOut):
        Writer(pipe[1], timeout=0.01).write(bytes(200_000))


@pytest.mark.parametrize("timeout", [None, 5])
def test_a_peer_that_is_gone_is_told_apart(pipe: tuple[int, int], timeout: float | None) -> None:
    os.close(pipe[0])
    with pytest.raises(Closed):
        Writer(pipe[1], timeout).write(b"x")
