"""The home of an older qmail with its queue, as its programs leave them."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

ROLES = {"mess": "qmailq", "intd": "qmailq", "todo": "qmailq"}  # the rest is qmails's
MODES = {"mess": 0o644, "intd": 0o644, "todo": 0o644}
SPLIT = ("mess", "info", "local", "remote")
TRIED = 1_700_000_000  # when messages are tried again, if a test does not say


class OldHome:
    """The home.

    Args:
        folder: where it is to be.
        owner: whose it is; None: root's, with the queue's parts of the qmail users.
        split: into how many folders its queue is split.
    """

    def __init__(self, folder: Path, owner: int | None, split: int = 23) -> None:
        self.folder, self.owner, self.split = folder, owner, split
        self.queue = folder / "queue"
        for name in ("control", "users", "alias", *(f"queue/{name}" for name in ("lock", "pid", "bounce"))):
            self.make(folder / name)
        for name in ("intd", "todo", *(f"{name}/{part}" for name in SPLIT for part in range(split))):
            self.make(self.queue / name)
        for name in ("sendmutex", "tcpto", "trigger"):
            self.own((self.queue / "lock" / name), "qmails", 0o600, b"")
        for name in "me", "rcpthosts":
            self.write(f"control/{name}", "mail.example\n")
        self.write("control/defaultdelivery", "./Maildir/\n")

    def make(self, folder: Path) -> None:
        """Make a folder of the home, and those above it."""
        if not folder.parent.exists():
            self.make(folder.parent)
        folder.mkdir()
        if os.geteuid() == 0 and self.owner is not None:
            os.chown(folder, self.owner, self.owner)
        folder.chmod(0o755)

    def own(self, file: Path, role: str, mode: int, content: bytes) -> None:
        """Write *file*; it is the *role*'s."""
        if not file.exists():
            file.write_bytes(content)
        if os.geteuid() == 0:
            uid = pwd.getpwnam(role).pw_uid if self.owner is None else self.owner
            os.chown(file, uid, file.parent.stat().st_gid)
        file.chmod(mode)

    def write(self, name: str, text: str, role: str = "root", mode: int = 0o644) -> Path:
        """Write a file of the home."""
        file = self.folder / name
        if not file.parent.exists():
            self.make(file.parent)
        file.write_text(text)
        self.own(file, role, mode, b"")
        return file

    # -- messages ----------------------------------------------------------------------------
    def place(self, kind: str, number: int) -> Path:
        """Where the file of *kind* of a message is."""
        return self.queue / kind / (f"{number % self.split}/{number}" if kind in SPLIT else str(number))

    def put(self, kind: str, number: int, content: bytes, changed: float) -> Path:
        """Make a file of a message, last *changed* then."""
        file = self.place(kind, number)
        self.own(file, ROLES.get(kind, "qmails"), MODES.get(kind, 0o600), content)
        os.utime(file, (changed, changed))
        return file

    def text(self, text: bytes, born: float = TRIED) -> int:
        """The mess file of a new message, which must not have all it needs; its number."""
        draft = self.queue / "pid" / "draft"
        draft.write_bytes(b"Received: (qmail 77 invoked by uid 500); 1 Jan 2024 00:00:00 -0000\n" + text)
        number = draft.stat().st_ino
        draft.rename(self.place("mess", number))
        self.put("mess", number, b"", born)
        return number

    def submitted(self, text: bytes, recipients: Iterable[bytes], sender: bytes = b"sue@far.example") -> int:
        """A message as qmail-queue leaves it."""
        number = self.text(text)
        self.put("todo", number, records(b"u500", b"p77", b"F" + sender, *(b"T" + one for one in recipients)), TRIED)
        os.link(self.place("todo", number), self.place("intd", number))
        return number

    def active(
        self,
        text: bytes,
        local: Iterable[bytes] = (),
        remote: Iterable[bytes] = (),
        bounce: bytes = b"",
        sender: bytes = b"sue@far.example",
        born: float = TRIED - 5000,
    ) -> int:
        """A message as qmail-send leaves it; recipients with their letter T or D."""
        number = self.text(text, born)
        for kind, content in (("local", records(*local)), ("remote", records(*remote)), ("bounce", bounce)):
            if content:
                self.put(kind, number, content, TRIED)
        self.put("info", number, records(b"F" + sender), born)
        return number

    def all(self) -> dict[str, tuple[object, ...]]:
        """Everything in the home: owner, mode, inode, times of change, content."""
        found: dict[str, tuple[object, ...]] = {}
        for path in sorted((self.folder, *self.folder.rglob("*"))):
            seen = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
            found[str(path)] = (seen.st_uid, seen.st_gid, seen.st_mode, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns)
            found[str(path)] += (content,)
        return found


def records(*words: bytes) -> bytes:
    """The *words*, each with the NUL at its end."""
    return b"".join(word + b"\0" for word in words)
