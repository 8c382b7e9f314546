"""qmail-qstat counts."""

from __future__ import annotations

import pytest
from commands import run
from queues import Queue

from mta.queue.submit import Submission


def printed(messages: int, unprocessed: int) -> bytes:
    return b"messages in queue: %d\nmessages in queue but not yet preprocessed: %d\n" % (messages, unprocessed)


def test_messages_and_unprocessed_ones_are_counted(queue: Queue) -> None:
    assert run("qmail-qstat", env=queue.env) == (0, printed(0, 0), b"")
    for _ in range(3):
        assert Submission().send(b"joe", [b"bill"]) == b""
    (queue.path / f"todo/{queue.numbers()[0]}").unlink()
    (queue.path / "mess/0/folder").mkdir()
    assert run("qmail-qstat", env=queue.env) == (0, printed(3, 2), b"")


@pytest.mark.root
def test_who_may_not_read_the_queue_is_told(shared: Queue) -> None:
    told = run("qmail-qstat", env=shared.env, user=65534, cwd="/")
    assert (told.code, told.out) == (111, b"")
    assert told.err == b"qmail-qstat: fatal: unable to switch to %s/queue: access denied\n" % bytes(shared.home)
