from __future__ import annotations

import os
import resource

import pytest
from sending import Home

from mta.queue import layout
from mta.send.message import Damaged, mark, read_info, waiting


def recipients(queue: Home, content: bytes) -> list[tuple[int, bytes]]:
    queue.put(layout.local(7), content)
    fd = os.open(layout.local(7), os.O_RDONLY)
    try:
        return list(waiting(fd))
    finally:
        os.close(fd)


def test_those_who_wait_come_with_their_offsets(queue: Home) -> None:
    assert recipients(queue, b"Ta@b\0Dc@d\0Te@f\0") == [(0, b"a@b"), (10, b"e@f")]
    assert recipients(queue, b"") == []


def test_a_record_without_its_end_is_not_there(queue: Home) -> None:
    assert recipients(queue, b"Ta@b\0Tc@d") == [(0, b"a@b")]


def test_a_record_of_another_kind_is_damage(queue: Home) -> None:
    with pytest.raises(Damaged):
        recipients(queue, b"Ta@b\0Xc@d\0")


def test_a_mark_changes_one_byte(queue: Home) -> None:
    found = recipients(queue, b"Ta@b\0Tc@d\0Te@f\0")
    mark(layout.local(7), [found[0][0], found[2][0]])
    assert queue.file(layout.local(7)).read_bytes() == b"Da@b\0Tc@d\0De@f\0"


def test_the_sender_comes_with_the_birth(queue: Home) -> None:
    queue.put(layout.info(7), b"Fsue@example.net\0", changed=1234)
    assert read_info(7) == (b"sue@example.net", 1234)
    queue.put(layout.info(7), b"Fsue@example.net")
    with pytest.raises(Damaged):
        read_info(7)


def test_a_hundred_thousand_recipients_need_no_memory(queue: Home) -> None:
    queue.put(layout.local(7), b"".join(b"Tsomebody-with-a-long-name-%d@example.org\0" % n for n in range(100_000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fd = os.open(layout.local(7), os.O_RDONLY)
    assert sum(1 for _ in waiting(fd)) == 100_000
    os.close(fd)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048  # KiB
