"""What a service directory asks of supervise."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervise.tree import settings
from supervise.tree.settings import Settings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def all_of(found: Settings) -> dict[str, object]:
    return {name: getattr(found, name) for name in Settings.__slots__}


DEFAULTS = {
    "deaths": 0,
    "essential": False,
    "finish": False,
    "finish_limit": None,
    "kill_limit": None,
    "kill_tree": False,
    "notification_fd": None,
}


def test_a_service_directory_as_ever_asks_for_nothing(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("run", "down", "supervise", "env", "data"):
        (place / name).touch()
    assert all_of(settings.read(b"s")) == DEFAULTS
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"finish": ""}, {"finish": True, "finish_limit": 5.0}),
        ({"finish": "", "timeout-finish": "250\n"}, {"finish": True, "finish_limit": 0.25}),
        ({"finish": "", "timeout-finish": "0"}, {"finish": True, "finish_limit": None}),
        ({"timeout-finish": "250"}, {}),
        ({"timeout-kill": "  1500  \n\n"}, {"kill_limit": 1.5}),
        ({"timeout-kill": "0"}, {}),
        ({"notification-fd": "3\n"}, {"notification_fd": 3}),
        ({"notification-fd": "1023"}, {"notification_fd": 1023}),
        ({"max-death-tally": "5\n"}, {"deaths": 5}),
        ({"kill-tree": "whatever"}, {"kill_tree": True}),
        ({"essential": ""}, {"essential": True}),
    ],
)
def test_files_are_settings(
    place: Path, files: dict[str, str], expected: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    for name, content in files.items():
        (place / name).write_text(content)
    assert all_of(settings.read(b"s")) == {**DEFAULTS, **expected}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("timeout-kill", b"", "not a number: "),
        ("timeout-kill", b"soon\n", "not a number: soon"),
        ("timeout-kill", b"-5", "not a number: -5"),
        ("timeout-kill", b"1.5", "not a number: 1.5"),
        ("timeout-kill", b"1000000000", "not a number: 1000000000"),
        ("timeout-kill", b"5 5", "not a number: 5 5"),
        ("timeout-kill", b"x\ny\nz", "not a number: x"),
        ("timeout-kill", b"9" * 5000, "not a number: " + "9" * 100),
        ("timeout-kill", "\u0665".encode(), "not a number: \u0665"),
        ("max-death-tally", b"many", "not a number: many"),
        ("notification-fd", b"2", "no descriptor from 3 to 1023: 2"),
        ("notification-fd", b"0", "no descriptor from 3 to 1023: 0"),
        ("notification-fd", b"999999", "no descriptor from 3 to 1023: 999999"),
        ("notification-fd", b"three", "not a number: three"),
    ],
)
def test_what_makes_no_sense_is_named_in_a_line_and_counts_as_missing(
    place: Path, file: str, content: bytes, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (place / file).write_bytes(content)
    assert all_of(settings.read(b"s")) == DEFAULTS
    assert capfd.readouterr().err == f"supervise: warning: s/{file}: {why}\n"


def test_a_limit_that_makes_no_sense_leaves_the_usual_one(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "finish").touch()
    (place / "timeout-finish").write_text("x")
    assert settings.read(b"s").finish_limit == 5.0
    assert capfd.readouterr().err == "supervise: warning: s/timeout-finish: not a number: x\n"


def test_a_folder_is_no_number(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "timeout-kill").mkdir()
    assert settings.read(b"s").kill_limit is None
    assert capfd.readouterr().err == "supervise: warning: s/timeout-kill: unable to read: is a directory\n"


def test_a_link_to_nowhere_says_nothing(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "timeout-kill").symlink_to("nowhere")
    assert settings.read(b"s").kill_limit is None
    assert capfd.readouterr().err == ""


def test_a_directory_that_is_gone_asks_for_nothing(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "finish").touch()
    (place / "finish").unlink()
    place.rmdir()
    place.mkdir()
    assert all_of(settings.read(b"s")) == DEFAULTS
