"""qmail-qsanity names what is wrong with a queue, and changes nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import run
from instance import NOBODY
from oldhome import OldHome

from mta.queue import layout

USER = NOBODY if os.geteuid() == 0 else None


class Broken(OldHome):
    """A plain user's home with one message that waits and one that has just come."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, NOBODY if USER else os.geteuid())
        for place in layout.places():
            file = folder / os.fsdecode(place.path)
            if file.name == "trigger":
                file.unlink()
                os.mkfifo(file)
            elif not file.exists():
                file.mkdir()
            elif place.size:
                file.write_bytes(bytes(place.size))
            if USER:
                os.chown(file, NOBODY, NOBODY)
            file.chmod(place.mode)
        if USER:
            os.chown(self.queue, NOBODY, NOBODY)
        for part in ("intd", "todo"):
            assert not os.listdir(self.queue / part)
        self.waits = self.active(b"text\n", [b"Tjoe@old.example"])
        self.new = self.submitted(b"text\n", [b"joe@old.example"])

    def faults(self) -> list[str]:
        """The lines that the command prints."""
        before = self.all()
        code, out, err = run("qmail-qsanity", env={"QMAILHOME": str(self.folder)}, user=USER)
        assert out == b""
        assert code == (1 if err else 0)
        assert self.all() == before
        return err.decode().splitlines()


@pytest.fixture
def home() -> Iterator[Broken]:
    scratch = Path(tempfile.mkdtemp(prefix="pyqmail-"))
    scratch.chmod(0o755)
    yield Broken(scratch / "home")
    shutil.rmtree(scratch)


def test_in_a_sound_queue_it_finds_nothing(home: Broken) -> None:
    assert home.faults() == []


CASES: dict[str, tuple[Callable[[Broken], object], str]] = {
    "no sender": (lambda h: h.place("info", h.waits).write_bytes(b"x\0"), "info holds no sender"),
    "torn address": (lambda h: h.place("local", h.waits).write_bytes(b"Tjo"), "breaks off within an address"),
    "no recipient": (lambda h: h.place("local", h.waits).write_bytes(b"Xjoe\0"), "holds what is no recipient"),
    "no envelope": (lambda h: h.place("todo", h.new).write_bytes(b"Fjoe\0"), "todo holds no envelope"),
    "no text": (lambda h: h.place("mess", h.waits).unlink(), "in no legal state"),
    "stranger": (lambda h: (h.queue / "bounce/core").write_bytes(b""), "bounce/core: belongs to no message"),
    "stranger in a part": (lambda h: (h.queue / "mess/3/core").mkdir(), "mess/3/core: belongs to no message"),
    "stranger in todo": (lambda h: (h.queue / "todo/x").symlink_to("/etc"), "todo/x: belongs to no message"),
    "stranger at the top": (lambda h: (h.queue / "strange").write_bytes(b""), "queue/strange: belongs to no message"),
    "a folder at the top": (lambda h: (h.queue / "strange").mkdir(), "queue/strange: belongs to no message"),
    "stranger in lock": (lambda h: (h.queue / "lock/x").write_bytes(b""), "queue/lock/x: belongs to no message"),
    "an empty part": (lambda h: (h.queue / "todo/7").mkdir(), "queue/todo/7: an empty part too many"),
    "a part that is a link": (lambda h: (h.queue / "mess/25").symlink_to("/etc"), "mess/25: belongs to no message"),
    "left by queue-fix": (lambda h: (h.queue / "moving/5.info").mkdir(parents=True), "run queue-fix again"),
    "mode": (lambda h: h.place("info", h.waits).chmod(0o666), "mode 0666, should be 0600"),
    "folder": (lambda h: (h.queue / "pid").rmdir(), "queue/pid: missing"),
    "tcpto": (lambda h: (h.queue / "lock/tcpto").write_bytes(b""), "tcpto: damaged: 0 bytes, should be 1024"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named(home: Broken, name: str) -> None:
    damage, told = CASES[name]
    damage(home)
    found = home.faults()
    assert [line for line in found if told in line], found


def test_a_number_that_is_not_the_inode_is_named(home: Broken) -> None:
    file = home.place("mess", home.waits)
    copy = file.with_suffix(".copy")
    copy.write_bytes(file.read_bytes())
    copy.rename(file)
    assert [line for line in home.faults() if f"message {home.waits}: its mess file has inode" in line]


@pytest.mark.parametrize("part", ["25", ""])
def test_each_file_of_a_message_that_qmail_send_cannot_find_is_named(home: Broken, part: str) -> None:
    files = []
    for kind in ("mess", "info", "local"):
        file = home.place(kind, home.waits)
        (home.queue / kind / part).mkdir(exist_ok=True)
        files.append(file.rename(home.queue / kind / part / file.name))
    for kind in ("mess", "intd", "todo"):
        file = home.place(kind, home.new)
        (home.queue / kind / "3").mkdir(exist_ok=True)
        files.append(file.rename(home.queue / kind / "3" / file.name))
    assert set(home.faults()) == {f"{file}: belongs to no message" for file in files}


def test_what_a_file_system_and_other_commands_leave_in_the_queue_is_no_fault(home: Broken) -> None:
    for name in ("lost+found", "taken", "moving"):
        (home.queue / name).mkdir(mode=0o700)
        if USER:
            os.chown(home.queue / name, USER, USER)
    (home.queue / ".draft").touch()
    assert home.faults() == []


def test_without_a_queue_it_says_so(tmp_path: Path) -> None:
    code, _, err = run("qmail-qsanity", env={"QMAILHOME": str(tmp_path)})
    assert code == 111
    assert err.startswith(b"qmail-qsanity: fatal: unable to switch to ")
