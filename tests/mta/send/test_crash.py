"""qmail-send is killed at every system call that changes something, and is started again.

The parts are the real ones.  The spawners and the cleaner are played within the process, by calls
that cannot be killed, so that a run is the same each time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from os import unlink as surely_unlink
from os import write as surely_write
from pathlib import Path

import pytest
from crashes import crashes_of
from sending import Home

from mta.queue import layout
from mta.queue.trigger import Trigger
from mta.send import bounce, todo
from mta.send.bounce import Notes
from mta.send.channel import Channel
from mta.send.cleaner import Cleaner
from mta.send.controls import Controls
from mta.send.finish import Finish
from mta.send.log import Log
from mta.send.passes import Pass
from mta.send.schedule import Schedule
from mta.send.state import State
from mta.send.todo import Todo
from mta.send.watch import Watch

NOW = 2_000_000_000  # when everything is due


class Played(Cleaner):
    """qmail-clean, within the process."""

    def __init__(self, state: State) -> None:
        self.state, self.going, self.alive = state, set(), True
        self.waiting: list[Callable[[bool], None]] = []

    def remove_todo(self, number: int, then: Callable[[bool], None]) -> None:
        for name in layout.intd(number), layout.todo(number):
            remove(name)
        self.waiting.append(then)

    def remove_message(self, number: int) -> None:
        for name in layout.intd(number), layout.mess(number):
            remove(name)

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        for then in waiting:
            then(True)


class Spawned(Channel):
    """A spawner, within the process; it writes down whom it delivers to."""

    def __init__(self, state: State, notes: Notes, index: int, outside: Path) -> None:
        reading, writing = os.pipe()
        with open(reading), open(writing, "w"):  # only for the first word
            os.write(writing, b"\3")
            super().__init__(state, notes, index, writing, reading)
        self.outside = outside

    def flush(self) -> None:
        requests, self.requests.waiting = bytes(self.requests.waiting), bytearray()
        reports = b""
        while requests:
            slot = requests[:1]
            _, _, recipient, requests = requests[1:].split(b"\0", 3)
            append(self.outside / "delivered", recipient + b"\n")
            reports += slot + (b"Dnever\n" if recipient.startswith(b"hard") else b"Kdone\n") + b"\0"
        if reports:
            self._hear(reports, NOW)


class Silent(Trigger):
    """Nobody pulls."""

    def set(self) -> None:
        pass


def append(file: Path, data: bytes) -> None:
    with file.open("ab", buffering=0) as stream:
        surely_write(stream.fileno(), data)


def remove(name: bytes) -> None:
    try:
        surely_unlink(name)
    except FileNotFoundError:
        pass


@pytest.fixture
def outside(home: Home) -> Path:
    """Where what left the queue is written down."""
    return Path(tempfile.mkdtemp(dir=home.home))


@pytest.fixture
def send(queue: Home, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Run qmail-send until nothing is left to do."""

    def submit(number: int, sender: bytes, controls: Controls) -> int:
        append(outside / "bounced", sender + b"\n" + Path(os.fsdecode(layout.bounce(number))).read_bytes())
        return 1

    monkeypatch.setattr(bounce, "submit", submit)
    monkeypatch.setattr(todo, "Trigger", Silent)

    def run() -> None:
        with open(os.devnull, "wb") as log:
            work(State(Log(log.fileno()), Controls()))

    def work(state: State) -> None:
        watch = Watch()
        watch.now = NOW
        schedule, cleaner, notes = Schedule(state), Played(state), Notes(state)
        state.channels += [Spawned(state, notes, index, outside) for index in (0, 1)]
        parts = [
            Todo(state, schedule, cleaner),
            *(Pass(state, schedule, channel) for channel in state.channels),
            Finish(state, schedule, cleaner),
        ]
        schedule.load(NOW)
        for _ in range(5):
            for part in parts:
                part.work(watch)

    return run


PEOPLE = [b"joe@example.org", b"hard@example.org", b"mary@far.example", b"hard2@far.example", b"lu@far.example"]


def test_a_kill_at_any_call_loses_no_recipient_and_no_bounce(
    queue: Home, outside: Path, send: Callable[[], None]
) -> None:
    numbers: list[int] = []

    def fresh() -> None:
        for name in queue.left():
            (queue.path / name).unlink()
        for file in outside.iterdir():
            file.unlink()
        numbers[:] = [queue.submit(*PEOPLE), queue.submit(b"ann@example.org", b"hard3@far.example", sender=b"owner@l")]

    crashes = 0
    for crashes in crashes_of(send, fresh):
        for number in numbers:
            queue.state(number)  # raises when it is in no legal state
        send()
        assert queue.left() == [], crashes
        delivered = (outside / "delivered").read_bytes().splitlines()
        assert {*delivered} == {*PEOPLE, b"ann@example.org", b"hard3@far.example"}, crashes
        bounced = (outside / "bounced").read_bytes()
        for recipient in (b"hard@example.org", b"hard2@far.example", b"hard3@far.example"):
            assert b"<%s>:\nnever\n\n" % recipient in bounced, crashes
        assert {b"sue@example.net", b"owner@l"} <= {*bounced.splitlines()}, crashes
    assert crashes > 60


def test_without_a_crash_everybody_gets_it_once(queue: Home, outside: Path, send: Callable[[], None]) -> None:
    queue.submit(*PEOPLE)
    send()
    assert sorted((outside / "delivered").read_bytes().splitlines()) == sorted(PEOPLE)
    assert (outside / "bounced").read_bytes() == (
        b"sue@example.net\n<hard@example.org>:\nnever\n\n<hard2@far.example>:\nnever\n\n"
    )


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files and folders that have been synced, by their names below the queue."""
    names: set[str] = set()
    sync = os.fsync

    def noting(fd: int) -> None:
        sync(fd)
        names.add(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}")))

    monkeypatch.setattr(os, "fsync", noting)
    return names


def test_the_envelope_goes_when_all_else_is_on_disk(
    queue: Home, send: Callable[[], None], synced: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = queue.submit(b"joe@example.org", b"mary@far.example")
    wanted = {
        os.fsdecode(name)
        for file in (layout.info(number), layout.local(number), layout.remote(number))
        for name in (file, os.path.dirname(file))
    }
    asked: list[bool] = []
    remove_todo = Played.remove_todo

    def watching(self: Played, number: int, then: Callable[[bool], None]) -> None:
        asked.append(wanted <= synced)
        remove_todo(self, number, then)

    monkeypatch.setattr(Played, "remove_todo", watching)
    send()
    assert asked == [True]


def test_nobody_is_marked_as_failed_before_the_note_is_on_disk(
    queue: Home, send: Callable[[], None], synced: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = queue.submit(b"hard@example.org", b"hard2@example.org", b"hard3@example.org", b"hard4@example.org")
    wanted = {os.fsdecode(layout.bounce(number)), "bounce"}
    marked: list[bool] = []
    monkeypatch.setattr(os, "pwrite", lambda *args: marked.append(wanted <= synced))
    unlink = os.unlink

    def watching(name: bytes) -> None:
        if name == layout.local(number) and queue.file(layout.bounce(number)).exists():
            marked.append(wanted <= synced)
        unlink(name)

    monkeypatch.setattr(os, "unlink", watching)
    send()
    assert len(marked) >= 3
    assert all(marked)
