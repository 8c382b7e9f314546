"""Descriptor 0 in pieces that grow with what comes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervise.log.pipe import LARGE, SMALL, Pipe

Input = Callable[[int], None]


@pytest.fixture
def becomes_input() -> Iterator[Input]:
    """Makes a descriptor descriptor 0."""
    before = os.dup(0)
    yield lambda fd: (os.dup2(fd, 0), os.close(fd))[1]
    os.dup2(before, 0)
    os.close(before)


def holds(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def test_an_idle_pipe_stays_as_it_is(becomes_input: Input) -> None:
    reading, writing = os.pipe()
    becomes_input(reading)
    pipe = Pipe()
    for text in (b"one\n", b"x" * (SMALL - 1), b"two\n"):
        os.write(writing, text)
        assert pipe.read() == text
    assert holds(0) == SMALL
    os.close(writing)
    assert pipe.read() == b""


def test_a_busy_pipe_grows_and_is_read_in_larger_pieces(becomes_input: Input) -> None:
    reading, writing = os.pipe()
    becomes_input(reading)
    pipe = Pipe()
    os.write(writing, b"x" * SMALL)
    assert len(pipe.read()) == SMALL
    assert holds(0) == LARGE
    os.write(writing, b"y" * LARGE)
    assert pipe.read(1) == b"y"
    assert len(pipe.read()) == LARGE - 1
    os.close(writing)


def test_a_file_is_read_in_larger_pieces_too(becomes_input: Input, tmp_path: Path) -> None:
    text = os.urandom(3 * LARGE)
    (tmp_path / "input").write_bytes(text)
    becomes_input(os.open(tmp_path / "input", os.O_RDONLY))
    pipe = Pipe()
    pieces = []
    while piece := pipe.read():
        pieces.append(piece)
    assert b"".join(pieces) == text
    assert [len(piece) for piece in pieces] == [SMALL, LARGE, LARGE, LARGE - SMALL]
