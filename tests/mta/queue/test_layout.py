from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from mta.queue import layout
from supervise.errors import Temporary

LEGAL = {
    layout.NOTHING: ["-------"],
    layout.ARRIVING: ["+------", "++-----"],
    layout.QUEUED: [
        "+" + intd + "+" + "".join(rest) + "-" for intd in "-+" for rest in itertools.product("-+", repeat=3)
    ],
    layout.ACTIVE: ["+--+" + "".join(rest) for rest in itertools.product("-+", repeat=3)],
}
NUMBER = 457


def test_every_combination_of_files_is_one_state_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {files: state for state, all_files in LEGAL.items() for files in all_files}
    names = [os.fsdecode(name(NUMBER)) for name in layout.NAMES]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
    for combination in itertools.product("-+", repeat=len(names)):
        for name, there in zip(names, combination, strict=True):
            if there == "+":
                (tmp_path / name).touch()
        files = "".join(combination)
        if files in wanted:
            assert layout.state_of(NUMBER) == wanted[files], files
        else:
            with pytest.raises(Temporary) as refused:
                layout.state_of(NUMBER)
            assert files.encode() in refused.value.line
        for name in names:
            (tmp_path / name).unlink(missing_ok=True)


def test_names_are_those_of_the_original() -> None:
    assert [name(NUMBER) for name in layout.NAMES] == [
        b"mess/20/457", b"intd/457", b"todo/457", b"info/20/457", b"local/20/457", b"remote/20/457", b"bounce/457",
    ]  # fmt: skip


def test_owners_and_modes_are_those_of_the_original() -> None:
    places = {place.path: place for place in layout.places()}
    seen = {path: (place.owner, place.mode, place.kind) for path, place in places.items() if not path[-1:].isdigit()}
    assert seen == {
        b"queue": (b"qmailq", 0o750, b"folder"),
        b"queue/bounce": (b"qmails", 0o700, b"folder"),
        b"queue/info": (b"qmails", 0o700, b"folder"),
        b"queue/intd": (b"qmailq", 0o700, b"folder"),
        b"queue/local": (b"qmails", 0o700, b"folder"),
        b"queue/lock": (b"qmailq", 0o750, b"folder"),
        b"queue/mess": (b"qmailq", 0o750, b"folder"),
        b"queue/pid": (b"qmailq", 0o700, b"folder"),
        b"queue/remote": (b"qmails", 0o700, b"folder"),
        b"queue/todo": (b"qmailq", 0o750, b"folder"),
        b"queue/lock/sendmutex": (b"qmails", 0o600, b"file"),
        b"queue/lock/tcpto": (b"qmailr", 0o644, b"file"),
        b"queue/lock/trigger": (b"qmails", 0o622, b"fifo"),
        b"run": (b"qmailq", 0o755, b"folder"),
    }
    assert all(place.group == b"qmail" for place in places.values())
    assert places[b"queue/lock/tcpto"].size == 1024
    for name, mode in ((b"mess", 0o750), (b"info", 0o700), (b"local", 0o700), (b"remote", 0o700)):
        split = [place for path, place in places.items() if path.startswith(b"queue/%s/" % name)]
        assert len(split) == 23
        assert {(place.owner, place.mode) for place in split} == {(places[b"queue/" + name].owner, mode)}


def test_parents_come_before_what_is_in_them() -> None:
    seen = {b""}
    for place in layout.places():
        assert os.path.dirname(place.path) in seen
        seen.add(place.path)
