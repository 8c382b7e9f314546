"""What a submitter handed over is read as long as it makes sense."""

from __future__ import annotations

import os
import socket

import pytest

from mta.queue import codes
from mta.queue.codes import Refused
from mta.queue.source import LEFT_BEHIND, Source


def test_a_source_is_read_to_its_end_while_the_submitter_waits() -> None:
    here, there = socket.socketpair()
    reading, writing = os.pipe()
    os.write(writing, b"all of it")
    os.close(writing)
    with here, there:
        assert b"".join(Source(reading, here.fileno()).chunks()) == b"all of it"
    os.close(reading)


def test_what_a_submitter_wrote_before_it_went_is_read() -> None:
    here, there = socket.socketpair()
    reading, writing = os.pipe()
    os.write(writing, b"all of it")
    os.close(writing)
    there.close()
    with here:
        assert b"".join(Source(reading, here.fileno()).chunks()) == b"all of it"
    os.close(reading)


def test_a_source_that_never_ends_is_given_up_when_the_submitter_is_gone() -> None:
    here, there = socket.socketpair()
    with here, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        there.close()
        with pytest.raises(Refused) as refused:
            list(Source(silent.fileno(), here.fileno()).chunks())
    assert refused.value.code == codes.READ


def test_an_endless_source_of_a_submitter_that_is_gone_is_read_no_longer_than_a_pipe() -> None:
    here, there = socket.socketpair()
    there.close()
    zero = os.open("/dev/zero", os.O_RDONLY)
    total = 0
    with here, pytest.raises(Refused):
        for data in Source(zero, here.fileno()).chunks():
            total += len(data)
    assert total <= LEFT_BEHIND
    os.close(zero)
