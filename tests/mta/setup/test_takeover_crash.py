"""qmail-setup --from is killed at every call that changes something; then the same command is given again."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crashes import crashes_of
from instance import NOBODY
from oldhome import OldHome
from queues import Queue

from mta.queue import layout
from mta.setup.takeover import take_queue, take_settings
from supervise.errors import Temporary

# What the dead leave differs only by these: what is opened lies there empty before the next of them.
CHANGES = ("write", "link", "rename", "unlink", "mkdir", "rmdir", "utime", "chmod", "fchmod", "chown", "fchown")
BOUNCE = b"<gone@old.example>:\nNo such user.\n\n"


@pytest.fixture
def scratch() -> Iterator[Path]:
    scratch = Path(tempfile.mkdtemp(prefix="pyqmail-"))  # not pytest's, into which nobody cannot go
    scratch.chmod(0o755)
    give_away(scratch)
    yield scratch
    shutil.rmtree(scratch)


def give_away(folder: Path) -> None:
    """Let all of it belong to a plain user, if we are root."""
    if os.geteuid() == 0:
        for place, names, files in os.walk(folder):
            for name in (".", *names, *files):
                os.chown(os.path.join(place, name), NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture
def old(scratch: Path) -> OldHome:
    """A home with messages in every state, and some settings."""
    old = OldHome(scratch / "old", NOBODY if os.geteuid() == 0 else None)
    old.active(b"both", [b"Tjoe@old.example", b"Dann@old.example"], [b"Teve@far.example"], BOUNCE)
    old.active(b"local", [b"Tjoe@old.example"])
    old.submitted(b"submitted", [b"joe@old.example", b"eve@far.example"])
    old.text(b"not accepted")
    old.write("alias/.qmail-root", "&joe@old.example\n")
    old.write("alias/list/editor", "|somebody\n")
    (old.folder / "alias/list").chmod(0o750)
    give_away(old.folder)
    return old


class NewHome(Queue):
    """The home that takes over, with what its qmail-send has done so far."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        for name in "control", "users", "alias":
            (home / name).mkdir()
        give_away(home)
        self.seen: Counter[tuple[tuple[str, bytes], ...]] = Counter()

    def send(self) -> None:
        """See what qmail-send sees, and be done with it."""
        for kind in "todo", "info":
            for number in self.numbers(kind):
                files = {}
                for name, place in zip(("mess", "info", "local", "remote", "bounce"), PLACES, strict=True):
                    file = self.path / os.fsdecode(place(number))
                    if file.exists():
                        files[name] = file.read_bytes().rpartition(b"\n")[2] if name == "mess" else file.read_bytes()
                        file.unlink()
                if kind == "todo":
                    files = {"mess": files["mess"], "todo": (self.path / "todo" / str(number)).read_bytes()}
                    (self.path / "todo" / str(number)).unlink()
                self.seen[tuple(files.items())] += 1


PLACES = (layout.mess, layout.info, layout.local, layout.remote, layout.bounce)
EXPECTED = Counter(
    {
        (
            ("mess", b"both"),
            ("info", b"Fsue@far.example\0"),
            ("local", b"Tjoe@old.example\0Dann@old.example\0"),
            ("remote", b"Teve@far.example\0"),
            ("bounce", BOUNCE),
        ): 1,
        (("mess", b"local"), ("info", b"Fsue@far.example\0"), ("local", b"Tjoe@old.example\0")): 1,
        (("mess", b"submitted"), ("todo", b"u500\0p77\0Fsue@far.example\0Tjoe@old.example\0Teve@far.example\0")): 1,
    }
)


@pytest.fixture
def new(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> NewHome:
    """A home for it, which has nothing yet."""
    monkeypatch.setenv("QMAILHOME", str(scratch / "home"))
    return NewHome(scratch / "home")


def take(old: OldHome) -> None:
    """What the command does with settings and messages, as a plain user."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    assert take_settings(os.fsencode(old.folder)) == []
    assert len(take_queue(os.fsencode(old.folder))[1]) == 1  # what was not accepted


def in_a_child(action: Callable[[], None]) -> None:
    """Do *action* in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        finally:  # an exception must not wander into the test runner's copy
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.long
@pytest.mark.parametrize("sends", [False, True], ids=["alone", "qmail-send runs between"])
def test_whatever_kills_it_the_same_command_again_loses_and_doubles_nothing(
    old: OldHome, new: NewHome, sends: bool
) -> None:
    before = old.all()

    def fresh() -> None:
        shutil.rmtree(new.home)
        new.__init__(new.home)  # type: ignore[misc]

    crashes = 0
    for crashes in crashes_of(lambda: take(old), fresh, calls=CHANGES):
        if sends:
            new.send()
            assert new.seen <= EXPECTED, crashes
        in_a_child(lambda: take(old))
        new.send()
        assert new.seen == EXPECTED, crashes
        assert [file for file in new.path.rglob("*") if file.is_file() and file.parent.name != "lock"] == [], crashes
        assert {file.name for file in (new.home / "alias").rglob("*")} == {".qmail-root", "list", "editor"}
        assert (new.home / "alias/list").stat().st_mode == 0o40750
        assert (new.home / "alias/.qmail-root").read_text() == "&joe@old.example\n"
    assert crashes > 70
    assert old.all() == before


def test_for_want_of_room_it_stops_with_a_line_and_goes_on_later(old: OldHome, new: NewHome) -> None:
    """Each of the calls that need room fails once."""
    failing = 0
    failed = True
    while failed:
        shutil.rmtree(new.home)
        new.__init__(new.home)  # type: ignore[misc]
        failed = stopped(old, failing)
        in_a_child(lambda: take(old))
        new.send()
        assert new.seen == EXPECTED, failing
        failing += 1
    assert failing > 40


def stopped(old: OldHome, failing: int) -> bool:
    """Take over where the call of that number fails, for want of room; whether there were as many calls."""

    def taking() -> None:
        left = iter(range(failing, -1, -1))
        for name in "write", "fsync", "mkdir", "link", "rename":
            setattr(os, name, lacking(getattr(os, name), left))
        try:
            take(old)
        except Temporary as trouble:
            assert trouble.line.endswith(b"out of disk space") and b"unable to " in trouble.line
        except OSError as error:  # of which supervise.command makes a line
            assert error.errno == errno.ENOSPC
        else:
            os._exit(3)

    pid = os.fork()
    if pid == 0:
        try:
            taking()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 3)
    return code == 0


def lacking(call: Callable[..., object], left: Iterator[int]) -> Callable[..., object]:
    """*call*, which fails when *left* has come down to 0."""

    def perhaps(*args: object, **words: object) -> object:
        if next(left, -1) == 0:
            raise OSError(errno.ENOSPC, "No space left on device", *(arg for arg in args[:1] if isinstance(arg, bytes)))
        return call(*args, **words)

    return perhaps


def test_a_message_is_ours_when_all_of_it_is_on_disk(
    old: OldHome, new: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync, rename = os.fsync, os.rename
    ours = []

    def noting(fd: int) -> None:
        fsync(fd)
        synced.add(os.fstat(fd).st_ino)

    def watching(name: bytes, to: bytes, **folders: int | None) -> None:
        if os.path.exists(name + b"/mess"):
            needed = [name, *(name + b"/" + file for file in os.listdir(name))]
            assert {os.stat(file).st_ino for file in needed} <= synced
            ours.append(name)
        rename(name, to, **folders)

    def taking() -> None:
        monkeypatch.setattr(os, "fsync", noting)
        monkeypatch.setattr(os, "rename", watching)
        take(old)
        assert len(ours) == 3

    in_a_child(taking)
