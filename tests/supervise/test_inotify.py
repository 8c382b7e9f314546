"""inotify: what happens in folders and to files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.inotify import CREATE, DELETE, IS_FOLDER, MODIFY, MOVED_TO, ONLY_FOLDER, OVERFLOW, Inotify


@pytest.fixture
def ear() -> Iterator[Inotify]:
    ear = Inotify()
    yield ear
    ear.close()


def test_each_event_tells_its_watch_what_happened_and_the_name(ear: Inotify, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    one = ear.add(bytes(first), CREATE | MOVED_TO)
    two = ear.add(bytes(second), CREATE | DELETE)
    (first / "link").symlink_to("nowhere")
    (first / "folder").mkdir()
    (second / ("x" * 255)).touch()
    (second / ("x" * 255)).unlink()
    (first / "folder").rename(second / "folder")
    (second / "folder").rename(first / "back")
    assert ear.events() == [
        (one, CREATE, b"link"),
        (one, CREATE | IS_FOLDER, b"folder"),
        (two, CREATE, b"x" * 255),
        (two, DELETE, b"x" * 255),
        (one, MOVED_TO | IS_FOLDER, b"back"),
    ]
    assert ear.events() == []


def test_a_file_that_is_written_to_is_heard(ear: Inotify, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    watch = ear.add(bytes(file), MODIFY)
    file.write_text("text")
    assert (watch, MODIFY, b"") in ear.events()


def test_what_is_removed_is_heard_no_more(ear: Inotify, tmp_path: Path) -> None:
    watch = ear.add(bytes(tmp_path), CREATE)
    ear.remove(watch)
    (tmp_path / "file").touch()
    assert all(mask != CREATE for _, mask, _ in ear.events())
    ear.remove(watch)


def test_more_events_than_the_kernel_keeps_are_told_as_such(ear: Inotify, tmp_path: Path) -> None:
    ear.add(bytes(tmp_path), CREATE | DELETE)
    file = tmp_path / "file"
    for _ in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 1):
        file.touch()
        file.unlink()
    found = []
    while events := ear.events():
        found += events
    assert found[-1] == (-1, OVERFLOW, b"")


def test_what_cannot_be_watched_is_an_error(ear: Inotify, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        ear.add(bytes(tmp_path / "missing"), CREATE)
    assert caught.value.filename == bytes(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        ear.add(bytes(tmp_path / "file"), CREATE | ONLY_FOLDER)


def test_it_is_not_inherited(ear: Inotify) -> None:
    assert not os.get_inheritable(ear.fileno())


def test_no_room_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    ears = []
    with pytest.raises(OSError) as caught:
        for _ in range(limit + 1):
            ears.append(Inotify())
    for ear in ears:
        ear.close()
    assert caught.value.errno == errno.EMFILE
