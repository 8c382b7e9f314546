"""qmail-qread lists."""

from __future__ import annotations

import os

import pytest
from commands import run
from queues import Queue

from mta.queue import layout

BIRTH = 1_700_000_000  # 14 Nov 2023 22:13:20


def message(number: int, sender: bytes = b"joe@irs.gov", body: bytes = b"x" * 100, **files: bytes) -> None:
    """A message that qmail-send has taken on."""
    for name, content in ((layout.mess, body), (layout.info, b"F%s\0" % sender)):
        with open(name(number), "wb") as file:
            file.write(content)
    os.utime(layout.info(number), (BIRTH, BIRTH))
    for place, content in files.items():
        with open(getattr(layout, place)(number), "wb") as file:
            file.write(content)


def listed(queue: Queue) -> bytes:
    done = run("qmail-qread", env=queue.env)
    assert (done.code, done.err) == (0, b"")
    return done.out


def test_a_message_and_its_recipients_are_listed(queue: Queue) -> None:
    message(457, local=b"Tbill@a\0Dsue@a\0", remote=b"Djoe@b\0Tann@b\0")
    assert listed(queue) == (
        b"14 Nov 2023 22:13:20 GMT  #457  100  <joe@irs.gov> \n"
        b"\tlocal\tbill@a\n  done\tlocal\tsue@a\n  done\tremote\tjoe@b\n\tremote\tann@b\n"
    )


def test_a_message_that_bounces_is_marked(queue: Queue) -> None:
    message(1, sender=b"", bounce=b"<a@b>:\nno\n\n")
    assert listed(queue) == b"14 Nov 2023 22:13:20 GMT  #1  100  <>  bouncing\n"


def test_an_empty_queue_is_an_empty_list(queue: Queue) -> None:
    assert listed(queue) == b""


def test_messages_that_nobody_has_taken_on_are_not_listed(queue: Queue) -> None:
    (queue.path / "mess/0/23").touch()
    (queue.path / "todo/23").touch()
    assert listed(queue) == b""


def test_nothing_reaches_the_terminal_that_is_not_printable(queue: Queue) -> None:
    message(1, sender=b"a\x1b[31m\xff@b", local=b"Tx\ny\x00")
    assert listed(queue) == b"14 Nov 2023 22:13:20 GMT  #1  100  <a_[31m_@b> \n\tlocal\tx_y\n"


def test_an_unfinished_record_is_no_recipient(queue: Queue) -> None:
    message(1, remote=b"Ta@b\0Tc@")
    assert listed(queue).endswith(b"> \n\tremote\ta@b\n")


def test_a_damaged_message_does_not_hide_the_others(queue: Queue) -> None:
    message(1)
    message(2)
    os.unlink(layout.mess(1))
    assert listed(queue) == (
        b"warning: trouble with #1: file does not exist\n14 Nov 2023 22:13:20 GMT  #2  100  <joe@irs.gov> \n"
    )


def test_a_missing_queue_is_fatal(queue: Queue) -> None:
    (queue.path / "info/7").rmdir()
    done = run("qmail-qread", env=queue.env)
    assert (done.code, done.out) == (111, b"fatal: unable to opendir info/7: file does not exist\n")
    done = run("qmail-qread", env={**queue.env, "QMAILHOME": "/nonexistent"})
    assert (done.code, done.out) == (111, b"fatal: unable to chdir: file does not exist\n")


@pytest.mark.root
def test_who_may_not_read_the_queue_is_told(shared: Queue) -> None:
    told = run("qmail-qread", env=shared.env, user=65534, cwd="/")
    assert (told.code, told.out, told.err) == (111, b"fatal: unable to chdir: access denied\n", b"")
