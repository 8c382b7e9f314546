"""qmail-clean removes for qmail-send what belongs to qmailq."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import pytest
from commands import BIN, environment, run
from crashes import crashes_of
from queues import Queue
from until import until

from mta.queue import clean, layout

NUMBER = 457


def clean_up(queue: Queue, requests: bytes) -> tuple[int, bytes]:
    """The exit code and the answers."""
    done = run("qmail-clean", input=requests, env=queue.env)
    assert done.err == b""
    return done.code, done.out


def make(*names: bytes) -> None:
    for name in names:
        open(name, "w").close()


def there() -> list[bytes]:
    return [name(NUMBER) for name in layout.NAMES if os.path.exists(name(NUMBER))]


def test_foop_removes_a_message_that_was_never_accepted(queue: Queue) -> None:
    make(layout.mess(NUMBER), layout.intd(NUMBER))
    assert clean_up(queue, b"foop/457\0") == (0, b"+")
    assert there() == []


def test_todo_removes_what_has_been_taken_apart(queue: Queue) -> None:
    make(layout.mess(NUMBER), layout.intd(NUMBER), layout.todo(NUMBER), layout.info(NUMBER))
    assert clean_up(queue, b"todo/457\0") == (0, b"+")
    assert there() == [layout.mess(NUMBER), layout.info(NUMBER)]


def test_what_is_gone_already_is_done(queue: Queue) -> None:
    assert clean_up(queue, b"foop/457\0todo/457\0") == (0, b"++")


def test_what_cannot_be_removed_is_told(queue: Queue) -> None:
    os.mkdir(layout.intd(NUMBER))
    make(layout.mess(NUMBER), layout.todo(NUMBER))
    assert clean_up(queue, b"foop/457\0todo/457\0foop/458\0") == (0, b"!!+")
    assert layout.mess(NUMBER) in there()


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"x", b"foop/", b"foop/x", b"foop/45x", b"foop/-45", b"foop/ 45", b"info/457", b"foop-457", b"FOOP/457",
        b"foop/5", b"foop/" + b"1" * 95, b"foop/" + b"1" * 100_000,
    ],
)  # fmt: skip
def test_nonsense_is_answered_and_the_next_request_served(queue: Queue, request_: bytes) -> None:
    make(layout.mess(NUMBER))
    wanted = b"+" if request_ == b"foop/5" else b"x"  # 7 bytes with its NUL
    assert clean_up(queue, request_ + b"\0foop/457\0") == (0, wanted + b"+")
    assert there() == []


def test_a_request_without_its_end_is_none(queue: Queue) -> None:
    make(layout.mess(NUMBER))
    assert clean_up(queue, b"foop/457") == (0, b"")
    assert there() == [layout.mess(NUMBER)]


def test_it_answers_as_it_goes(queue: Queue) -> None:
    process = subprocess.Popen(
        [BIN / "qmail-clean"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(queue.env)
    )
    assert process.stdin and process.stdout
    for _ in range(3):
        os.write(process.stdin.fileno(), b"foop/457\0")
        assert os.read(process.stdout.fileno(), 10) == b"+"
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_nobody_to_answer_ends_it(queue: Queue) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([BIN / "qmail-clean"], stdin=subprocess.PIPE, stdout=writing, env=environment(queue.env))
    process.communicate(b"foop/457\0", timeout=20)
    os.close(writing)
    assert process.returncode == 100


def test_a_missing_queue_is_a_temporary_failure(queue: Queue) -> None:
    done = run("qmail-clean", env={**queue.env, "QMAILHOME": "/nonexistent"})
    assert done.code == 111


def leave_in_pid(name: str, hours: float) -> None:
    make(f"pid/{name}".encode())
    accessed = time.time() - hours * 3600
    os.utime(f"pid/{name}", (accessed, time.time() - 1_000_000))


def test_what_dead_submitters_left_in_pid_goes_after_36_hours(queue: Queue) -> None:
    leave_in_pid("old", 36.1)
    leave_in_pid("young", 35.9)
    assert clean_up(queue, b"") == (0, b"")
    assert os.listdir("pid") == ["young"]


def test_pid_is_looked_at_again_every_30_requests(queue: Queue) -> None:
    process = subprocess.Popen(
        [BIN / "qmail-clean"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(queue.env)
    )
    assert process.stdin and process.stdout
    os.write(process.stdin.fileno(), b"foop/457\0")
    assert os.read(process.stdout.fileno(), 1) == b"+"
    leave_in_pid("old", 37)
    for _ in range(28):
        os.write(process.stdin.fileno(), b"foop/457\0")
        assert os.read(process.stdout.fileno(), 1) == b"+"
    assert os.listdir("pid") == ["old"]
    os.write(process.stdin.fileno(), b"foop/457\0")
    until(lambda: not os.listdir("pid"))
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.mark.parametrize(
    ("request_", "before", "legal"),
    [
        (b"foop/457\0", (layout.mess, layout.intd), {layout.ARRIVING, layout.NOTHING}),
        (b"todo/457\0", (layout.mess, layout.intd, layout.todo, layout.info), {layout.QUEUED, layout.ACTIVE}),
    ],
)
def test_a_crash_at_any_call_leaves_a_legal_state(
    queue: Queue, request_: bytes, before: tuple[Callable[[int], bytes], ...], legal: set[bytes]
) -> None:
    def fresh() -> None:
        for name in layout.NAMES:
            if os.path.exists(name(NUMBER)):
                os.unlink(name(NUMBER))
        make(*(name(NUMBER) for name in before))

    def action() -> None:
        assert clean.answer(request_) == b"+"

    states = [layout.state_of(NUMBER) for _ in crashes_of(action, fresh)]
    assert set(states) == legal
