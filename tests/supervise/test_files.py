"""Files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from crashes import crashes_of

from supervise.fd import write_all
from supervise.files import announced, link, lock, publish, rename, slurp

OLD, NEW = b"old" * 100, b"new" * 100


def announce() -> None:
    with announced(b"name", b"draft") as fd:
        write_all(fd, NEW)


@pytest.mark.parametrize("change", [announce, lambda: publish(b"name", b"draft", NEW)], ids=["announced", "publish"])
def test_a_crash_at_any_call_leaves_the_old_file_or_the_new_one(
    change: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = set()

    def fresh() -> None:
        Path("draft").unlink(missing_ok=True)
        Path("name").write_bytes(OLD)

    for _ in crashes_of(change, fresh):  # type: ignore[arg-type]
        seen.add(Path("name").read_bytes())
    assert seen == {OLD, NEW}
    assert not Path("draft").exists()


def test_a_failure_leaves_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError), announced(b"name", b"draft"):
        raise KeyError
    assert os.listdir() == []


def test_a_draft_that_is_a_link_is_refused_and_what_it_leads_to_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("precious").write_bytes(OLD)
    Path("draft").symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"):
        announce()
    assert Path("precious").read_bytes() == OLD
    assert not Path("name").exists()


def test_the_mode_is_the_one_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mask = os.umask(0)
    try:
        with announced(b"name", b"draft", 0o640):
            pass
        publish(b"other", b"draft", b"", 0o600)
    finally:
        os.umask(mask)
    assert [os.stat(name).st_mode & 0o777 for name in ("name", "other")] == [0o640, 0o600]


def test_rename_replaces_and_link_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Path(name).write_text(name)
    rename(b"a", b"b")
    assert Path("b").read_text() == "a"
    with pytest.raises(FileExistsError):
        link(b"b", b"c")
    link(b"b", b"d")
    assert Path("d").read_text() == "a"


def test_slurp_tells_nothing_there_from_nothing_in_it(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path / "file")
    assert slurp(file) is None
    Path(os.fsdecode(file)).write_bytes(b"")
    assert slurp(file) == b""
    Path(os.fsdecode(file)).write_bytes(b"x" * 100_000)
    assert slurp(file) == b"x" * 100_000


def test_a_lock_is_held_as_long_as_its_descriptor(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path / "lock")
    fd = lock(file)
    with pytest.raises(BlockingIOError):
        lock(file, wait=False)
    os.close(fd)
    os.close(lock(file, wait=False))


def test_a_draft_that_is_there_keeps_its_mode_but_for_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for mode, expected in (0o644, 0o664), (0o600, 0o600):
        Path("draft").write_bytes(OLD)
        Path("draft").chmod(0o664)
        with announced(b"name", b"draft", mode):
            assert Path("draft").stat().st_mode & 0o777 == expected
        assert Path("name").stat().st_mode & 0o777 == expected


def test_a_secret_does_not_go_where_a_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("precious").write_bytes(OLD)
    os.link("precious", "draft")
    with announced(b"name", b"draft", 0o600) as fd:
        write_all(fd, NEW)
    os.symlink("precious", "draft")
    with pytest.raises(FileExistsError), announced(b"name", b"draft", 0o600):
        pass
    assert (Path("precious").read_bytes(), Path("name").read_bytes()) == (OLD, NEW)


def test_a_crash_while_a_secret_is_written_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = set()

    def fresh() -> None:
        Path("draft").write_bytes(b"left")
        Path("name").write_bytes(OLD)

    def change() -> None:
        with announced(b"name", b"draft", 0o600) as fd:
            write_all(fd, NEW)

    for _ in crashes_of(change, fresh):
        seen.add(Path("name").read_bytes())
    assert seen == {OLD, NEW}
