"""A message that is accepted is whole and on disk; one that is not leaves nothing that could be delivered."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import crashes_of
from queues import Queue

from mta.queue import codes, layout
from mta.queue.enqueue import enqueue
from supervise import files

MESSAGE = b"Subject: hi\n\n" + b"hello\n" * 20_000  # more than one read
ENVELOPE = b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0Tsue\0\0"
RECIPIENTS = [b"bill@heaven.af.mil", b"sue"]
UID = 1234
RECEIVED = rb"Received: \(qmail %d invoked by uid 1234\); \d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000\n"


def submit(message: bytes = MESSAGE, envelope: bytes = ENVELOPE, names: dict[int, bytes] | None = None) -> int:
    """Queue a message from two files; the exit code."""
    fds = [os.memfd_create(name) for name in ("message", "envelope")]
    for fd, content in zip(fds, (message, envelope), strict=True):
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
    try:
        return enqueue(fds[0], fds[1], UID, names or {})
    finally:
        for fd in fds:
            os.close(fd)


def is_whole(queue: Queue, number: int, pid: int | None = None) -> bool:
    """Whether message *number* is what was submitted."""
    line, _, rest = queue.message(number).partition(b"\n")
    uid, by, sender, recipients = queue.envelope(number)
    return (
        rest == MESSAGE
        and re.fullmatch(RECEIVED % (pid or by), line + b"\n") is not None
        and (uid, by, sender, recipients) == (UID, pid or by, b"joe@irs.gov", RECIPIENTS)
    )


def test_an_accepted_message_is_queued_whole(queue: Queue) -> None:
    assert submit() == 0
    [number] = queue.numbers()
    assert layout.state_of(number) == layout.QUEUED
    assert is_whole(queue, number, os.getpid())
    assert os.stat(layout.mess(number)).st_ino == number
    assert os.path.samefile(layout.intd(number), layout.todo(number))
    assert not os.listdir("pid")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_group_may_read_whatever_the_umask_was(queue: Queue, mask: int) -> None:
    os.umask(mask)
    assert submit() == 0
    [number] = queue.numbers()
    for name in (layout.mess, layout.intd, layout.todo):
        assert stat.S_IMODE(os.stat(name(number)).st_mode) == 0o644


def test_the_received_line_calls_some_users_by_name(queue: Queue) -> None:
    assert submit(names={UID: b"from network"}) == 0
    [number] = queue.numbers()
    assert queue.message(number).startswith(b"Received: (qmail %d invoked from network); " % os.getpid())


def test_an_empty_message_to_nobody_is_accepted(queue: Queue) -> None:
    assert submit(b"", b"F\0\0") == 0
    [number] = queue.numbers()
    assert queue.message(number).count(b"\n") == 1
    assert queue.envelope(number)[2:] == (b"", [])


def test_the_trigger_is_pulled_when_the_message_is_there(queue: Queue) -> None:
    reading = os.open("lock/trigger", os.O_RDONLY | os.O_NONBLOCK)
    assert submit(envelope=b"F") == codes.READ
    assert os.read(reading, 10) == b""
    assert submit() == 0
    assert os.read(reading, 10) == b"\0"
    os.close(reading)


def test_no_trigger_or_a_full_one_is_no_failure(queue: Queue) -> None:
    assert submit() == 0  # nobody reads
    reading = os.open("lock/trigger", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open("lock/trigger", os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    assert submit() == 0
    os.close(reading)
    os.close(writing)
    os.unlink("lock/trigger")
    assert submit() == 0


@pytest.mark.parametrize(
    ("envelope", "code"), [(b"", 54), (b"Fjoe\0Tbill\0", 54), (b"Tbill\0\0", 91), (b"F%s\0\0" % (b"x" * 1003), 11)]
)
def test_a_bad_envelope_leaves_nothing_behind(queue: Queue, envelope: bytes, code: int) -> None:
    assert submit(envelope=envelope) == code
    assert queue.is_empty()


@pytest.mark.parametrize(
    ("folder", "code"), [("pid", 63), ("mess/*", 64), ("intd", 65), ("todo", 66)]
)  # fmt: skip
def test_the_exit_code_names_the_folder_that_is_missing(queue: Queue, folder: str, code: int) -> None:
    for path in queue.path.glob(folder):
        path.rmdir()
    assert submit() == code
    assert not queue.numbers("mess") and not queue.numbers("intd")


def test_a_message_that_cannot_be_read_is_refused(queue: Queue) -> None:
    folder = os.open(".", os.O_RDONLY)
    assert enqueue(folder, folder, UID, {}) == codes.READ
    assert enqueue(9999, 9999, UID, {}) == codes.READ
    os.close(folder)
    assert queue.is_empty()


def test_a_submitter_that_takes_too_long_is_given_up(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout.DEATH == 24 * 3600 and layout.DEATH + 3600 < layout.OSSIFIED == 36 * 3600
    monkeypatch.setattr(layout, "DEATH", 1)
    reading, writing = os.pipe()
    os.write(writing, b"Subject: wait")
    started = time.monotonic()
    assert enqueue(reading, reading, UID, {}) == codes.TIMEOUT
    assert 0.5 < time.monotonic() - started < 5
    assert signal.alarm(0) == 0
    os.close(reading)
    os.close(writing)
    assert queue.is_empty()


def test_no_time_limit_is_left_running(queue: Queue) -> None:
    assert submit() == 0
    assert signal.alarm(0) == 0


# -- calls that fail ---------------------------------------------------------------------------


def failing_at(call: Callable[..., Any], at: int, number: int, made: list[int]) -> Callable[..., Any]:
    """*call*, which fails with error *number* the *at*-th time; *made* counts."""

    def attempt(*arguments: Any, **words: Any) -> Any:
        made.append(at)
        if len(made) == at:
            raise OSError(number, os.strerror(number))
        return call(*arguments, **words)

    return attempt


@pytest.mark.parametrize("name", ["open", "write", "fsync", "link", "unlink", "fstat", "posix_fadvise"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_call_that_fails_is_no_acceptance_and_leaves_nothing_to_deliver(
    queue: Queue, name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(1, 100):
        made: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing_at(getattr(os, name), at, number, made))
            code = submit()
        if len(made) < at:
            assert code == 0
            return
        left = queue.numbers()
        assert code in (0, codes.WRITE, codes.PID, codes.MESS, codes.INTD, codes.TODO)
        assert code in (0, codes.TODO) or not left, f"{name} {at}"  # TODO: the name is made, but perhaps not on disk
        for file in left:
            assert is_whole(queue, file)
        for file in queue.numbers("mess"):
            assert layout.state_of(file) in (layout.ARRIVING, layout.QUEUED)
        if name != "unlink" and not left:
            assert queue.is_empty()
        for file in queue.numbers("mess"):
            for path in (layout.mess, layout.intd, layout.todo):
                Path(os.fsdecode(path(file))).unlink(missing_ok=True)
        for pid in os.listdir("pid"):
            os.unlink(f"pid/{pid}")
    raise AssertionError("more than 100 calls")


def test_a_queue_without_memory_refuses_for_now(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*arguments: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(os, "read", none_left)
    assert submit() == codes.MEMORY
    assert queue.is_empty()


# -- crashes -------------------------------------------------------------------------------------


def test_a_crash_at_any_call_leaves_a_legal_state_and_never_half_a_message(queue: Queue) -> None:
    def fresh() -> None:
        for name in ("mess", "intd", "todo", "pid"):
            for path in (queue.path / name).rglob("*"):
                if path.is_file():
                    path.unlink()

    def action() -> None:
        assert submit() == 0

    states = []
    for _ in crashes_of(action, fresh):
        for number in set(queue.numbers("intd")) | set(queue.numbers("todo")) | set(queue.numbers("mess")):
            states.append(layout.state_of(number))
            if states[-1] == layout.QUEUED:
                assert is_whole(queue, number)
        assert len(queue.numbers("mess")) <= 1
        assert queue.numbers("todo") == [] or states[-1] == layout.QUEUED
    assert states[-1] == layout.QUEUED  # the run that was not killed
    assert set(states) == {layout.ARRIVING, layout.QUEUED}


class Disk:
    """What a loss of power would leave: contents up to their fsync, names up to their folder's fsync.

    That is less than an ext4 keeps, and what any file system may do.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contents: dict[int, bytes] = {}  # by inode
        self.names: dict[str, int] = {}  # inode by path
        self.fsync, self.link = os.fsync, os.link
        self.accepted: list[tuple[bytes, bytes]] = []  # message and envelope at the moment of the link to todo
        monkeypatch.setattr(os, "fsync", self.on_fsync)
        monkeypatch.setattr(os, "link", self.on_link)

    def on_fsync(self, fd: int) -> None:
        self.fsync(fd)
        path = os.readlink(f"/proc/self/fd/{fd}")
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            self.names = {name: inode for name, inode in self.names.items() if os.path.dirname(name) != path}
            self.names |= {f"{path}/{name}": os.stat(f"{path}/{name}").st_ino for name in os.listdir(path)}
        else:
            self.contents[os.fstat(fd).st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()

    def on_link(self, old: bytes, new: bytes) -> None:
        if new.startswith(b"todo/"):  # from here on the name may be on disk at any moment
            number = int(new.removeprefix(b"todo/"))
            message = self.content(os.path.abspath(os.fsdecode(layout.mess(number))))
            self.accepted.append((message, self.contents.get(os.stat(old).st_ino, b"")))
        self.link(old, new)

    def content(self, path: str) -> bytes:
        """The file as it would be found, empty when it would not."""
        return self.contents.get(self.names.get(path, 0), b"")


def test_power_may_go_as_soon_as_a_message_is_accepted(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        assert submit() == 0
    [number] = queue.numbers()
    message, envelope = queue.message(number), (queue.path / f"todo/{number}").read_bytes()
    assert disk.content(f"{queue.path}/mess/{number % 23}/{number}") == message
    assert disk.content(f"{queue.path}/todo/{number}") == envelope
    assert disk.accepted == [(message, envelope)], "all of it must be on disk before the name in todo can be"


def test_a_message_costs_four_syncs(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    assert submit() == 0
    [number] = queue.numbers()
    paths = [layout.mess(number), layout.intd(number), os.path.dirname(layout.mess(number)), b"todo"]
    assert synced == [os.stat(path).st_ino for path in paths]


def test_a_full_disk_leaves_the_queue_as_it_was(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> None:
        os.write(fd, bytes(data)[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mta.queue.enqueue.write_all", full)
    assert submit() == codes.WRITE
    assert queue.is_empty()


def test_a_message_never_takes_the_place_of_another(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes of one number can have one time too, where pids are reused quickly."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000)
    for attempt in range(1, 6):
        (queue.path / f"pid/{os.getpid()}.1000000000.{attempt}").touch()
    assert submit() == 0
    for attempt in range(6, 10):
        (queue.path / f"pid/{os.getpid()}.1000000000.{attempt}").touch()
    assert submit() == codes.PID
    assert len(queue.numbers()) == 1 and len(os.listdir("pid")) == 9


def test_a_number_that_is_taken_refuses_the_message(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(old: bytes, new: bytes, *, sync: bool = True) -> None:
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(files, "link", taken)
    assert submit() == codes.MESS
    assert queue.is_empty()


def test_a_second_message_in_the_same_process_is_as_good_as_the_first(queue: Queue) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert submit() == 0
        assert submit(envelope=b"Fx") == 54
    assert len(queue.numbers()) == 20
    assert all(is_whole(queue, number) for number in queue.numbers())
    assert len(os.listdir("/proc/self/fd")) == descriptors
