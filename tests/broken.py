"""A queue that wants repair, whose messages are known by their texts, and queue-fix on it."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from faults import run as fork
from instance import NOBODY
from oldhome import OldHome

from mta.queue import layout
from tools.repair.queue_fix import main

USER = NOBODY if os.geteuid() == 0 else os.geteuid()  # whose queue it is, if not the qmail users'
KINDS = ("mess", "intd", "todo", "info", "local", "remote", "bounce")
NEVER = 1 << 30  # the call that is to fail
LONG_AGO = 1_600_000_000  # seconds since 1970


class Broken(OldHome):
    """A home in a scratch folder, with an empty queue; the test removes it."""

    def __init__(self, owner: int | None = USER, split: int = 23) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="pyqmail-"))
        self.scratch.chmod(0o755)
        super().__init__(self.scratch / "home", owner, split)
        self.mounted = False

    def remove(self) -> None:
        if self.mounted:
            subprocess.run(["umount", self.queue], check=True)
        shutil.rmtree(self.scratch)

    def fill(self) -> Broken:
        """Put messages in all states into the queue."""
        for text in (b"one", b"two", b"three"):
            self.active(
                text, [b"Tjoe@example.org", b"Ddone@example.org"], [b"Teve@far.example"], b"<gone>:\nno\n\n", text
            )
        self.active(b"far", (), [b"Tfar@far.example"])
        for text in (b"four", b"five"):
            self.submitted(text, [b"sue@example.org"], text)
        begun = self.submitted(b"begun", [b"sue@example.org", b"eve@far.example"])
        self.put("info", begun, b"Fsue@far.example\0", LONG_AGO)
        self.put("local", begun, b"Tsue@exam", LONG_AGO)
        self.text(b"not accepted")
        return self

    def split_todo(self) -> None:
        """Split todo and intd too, as big queues have it."""
        for kind in ("todo", "intd"):
            for file in list((self.queue / kind).iterdir()):
                part = self.queue / kind / str(int(file.name) % self.split)
                part.mkdir(exist_ok=True)
                self.chown(part)
                file.rename(part / file.name)

    def chown(self, *files: Path) -> None:
        for file in files:
            if os.geteuid() == 0 and self.owner is not None:
                os.chown(file, self.owner, self.owner)

    def copied(self, tmpfs: bool = False) -> None:
        """Put a copy of the queue in its place, with other inodes and with owners and modes as cp leaves them."""
        old = self.scratch / "old"
        self.queue.rename(old)
        self.queue.mkdir()
        if tmpfs:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.queue], check=True)
            self.mounted = True
        self.chown(self.queue)
        for folder, folders, names in os.walk(old):
            place = self.queue / os.path.relpath(folder, old)
            for name in folders:
                (place / name).mkdir()
            random.Random(str(place)).shuffle(names)
            names = [name for name in names if Path(folder, name).is_file()]  # a FIFO is not copied
            for name in names:
                shutil.copyfile(Path(folder, name), place / name)
            for name in (*folders, *names):
                shutil.copystat(Path(folder, name), place / name)
                self.chown(place / name)
        shutil.rmtree(old)

    def fix(self, *options: str, input: bytes = b"") -> tuple[int, list[str]]:
        """Run queue-fix in a process of its own; its exit code and its lines on both descriptors."""
        argv = [b"queue-fix", *map(os.fsencode, options), os.fsencode(self.queue)]
        done = fork(main, argv, NEVER, 0, input, {}, "/")
        return done.code, (done.out + done.err).decode().replace(f"{self.queue}", "Q").splitlines()

    def everything(self, top: Path | None = None) -> dict[str, tuple[object, ...]]:
        """All that is in the scratch folder, or in *top*: owner, mode, names, content or target."""
        found = {}
        for path in sorted((top or self.scratch).rglob("*")):
            seen = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
            target = os.readlink(path) if path.is_symlink() else ""
            found[str(path)] = (seen.st_uid, seen.st_gid, seen.st_mode, seen.st_ino, seen.st_nlink, content, target)
        return found

    def mail(self) -> Counter[tuple[bytes, ...]]:
        """What every message in the queue is, whatever its number, as qmail-send reads it."""
        return Counter(view for number in self.numbers() if (view := self.seen(number)))

    def numbers(self) -> set[int]:
        """The messages that qmail-send sees."""
        folders = ["todo", *(f"info/{part}" for part in range(layout.SPLIT))]
        names = (name for folder in folders for name in os.listdir(self.queue / folder) if name.isdigit())
        return {int(name) for name in names if not (self.queue / "todo" / name).is_dir()}

    def file(self, name: bytes) -> bytes | None:
        path = self.queue / os.fsdecode(name)
        return path.read_bytes() if path.is_file() else None

    def seen(self, number: int) -> tuple[bytes, ...]:
        """What qmail-send makes of a message."""
        todo, text = self.file(layout.todo(number)), self.file(layout.mess(number))
        assert text is not None, f"message {number} has lost its text"
        if todo is not None:
            return text, todo
        names = (layout.info(number), layout.local(number), layout.remote(number), layout.bounce(number))
        birth = b"%d" % (self.queue / os.fsdecode(names[0])).stat().st_mtime
        return text, birth, *(self.file(name) or b"" for name in names)

    def deliver(self) -> Counter[tuple[bytes, ...]]:
        """Do what qmail-send and qmail-clean do with all they see, and with what is old and nobody's."""
        done = self.mail()
        for number in self.numbers():
            for name in layout.NAMES:
                (self.queue / os.fsdecode(name(number))).unlink(missing_ok=True)
        for file in (self.queue / "mess").rglob("[0-9]*"):
            if file.is_file():
                file.unlink()
                (self.queue / "intd" / file.name).unlink(missing_ok=True)
        return done
