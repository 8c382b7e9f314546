"""What a reader finds in a Maildir, and what it leaves there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mta.mailbox import maildir, reading

DAY = 86400


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maildir, in which we stand."""
    maildir.make(bytes(tmp_path / "Maildir"))
    monkeypatch.chdir(tmp_path / "Maildir")
    return tmp_path / "Maildir"


def put(file: Path, age: float = DAY, text: str = "x") -> Path:
    """Make a file that was written and read *age* seconds ago."""
    file.write_text(text)
    os.utime(file, (time.time() - age, time.time() - age))
    return file


def names() -> list[bytes]:
    return [message.name for message in reading.messages()]


def test_the_oldest_comes_first_wherever_it_lies(box: Path) -> None:
    put(box / "new/b", 300)
    put(box / "cur/c:2,S", 200)
    put(box / "new/d", 100)
    put(box / "cur/a:2,", 400)
    assert names() == [b"cur/a:2,", b"new/b", b"cur/c:2,S", b"new/d"]


def test_messages_of_the_same_time_have_the_order_of_their_names(box: Path) -> None:
    for name in "new/c", "cur/d:2,", "new/a", "cur/b:2,":
        os.utime(put(box / name), (1_600_000_000, 1_600_000_000))
    assert names() == [b"cur/b:2,", b"cur/d:2,", b"new/a", b"new/c"]


def test_the_order_within_a_second_is_kept(box: Path) -> None:
    for place, name in enumerate(("z", "m", "a")):
        os.utime(put(box / "new" / name), ns=(0, 1_600_000_000_000_000_000 + place))
    assert names() == [b"new/z", b"new/m", b"new/a"]


def test_what_came_in_this_second_is_not_seen_yet(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_600_000_000.5)
    for name, seconds in ("before", 1_599_999_999), ("now", 1_600_000_000), ("later", 1_700_000_000):
        os.utime(put(box / "new" / name), (seconds, seconds))
    assert names() == [b"new/before"]


def test_dot_files_and_links_to_nowhere_are_no_messages(box: Path) -> None:
    put(box / "new/.hidden")
    (box / "cur/link").symlink_to("nowhere")
    assert names() == []


def test_a_message_is_known_by_its_name_without_place_and_flags(box: Path) -> None:
    put(box / "cur/1.2.host:2,RS", text="hello")
    [message] = reading.messages()
    assert (message.unique, message.size) == (b"1.2.host", 5)


@pytest.mark.parametrize("folder", ["new", "cur"])
def test_a_maildir_without_its_folders_cannot_be_read(box: Path, folder: str) -> None:
    (box / folder).rmdir()
    with pytest.raises(FileNotFoundError):
        reading.messages()


def test_a_message_that_was_seen_goes_to_cur(box: Path) -> None:
    put(box / "new/m", text="hello")
    [message] = reading.messages()
    reading.seen(message)
    assert (box / "cur/m:2,").read_text() == "hello"
    assert not (box / "new/m").exists()


def test_a_name_in_cur_that_is_taken_stays_what_it_is(box: Path) -> None:
    put(box / "new/m", text="new")
    put(box / "cur/m:2,", text="old")
    for message in reading.messages():
        if message.name == b"new/m":
            reading.seen(message)
    assert ((box / "new/m").read_text(), (box / "cur/m:2,").read_text()) == ("new", "old")


def test_a_message_that_somebody_else_has_moved_is_no_trouble(box: Path) -> None:
    put(box / "new/m")
    [message] = reading.messages()
    (box / "new/m").rename(box / "cur/m:2,S")
    reading.seen(message)
    assert names() == [b"cur/m:2,S"]


def test_what_nobody_has_touched_in_tmp_for_36_hours_goes(box: Path) -> None:
    put(box / "tmp/stale", 36 * 3600 + 10)
    put(box / "tmp/recent", 36 * 3600 - 10)
    put(box / "tmp/.stale", 40 * 3600)
    os.utime(put(box / "tmp/read"), (time.time(), time.time() - 40 * 3600))  # read just now
    (box / "tmp/folder").mkdir()
    os.utime(box / "tmp/folder", (0, 0))
    reading.clean()
    assert {file.name for file in (box / "tmp").iterdir()} == {"recent", ".stale", "read", "folder"}


def test_a_maildir_without_tmp_has_nothing_to_clean(box: Path) -> None:
    (box / "tmp").rmdir()
    reading.clean()
