"""A scratch instance with users of its own, for deliveries by qmail-lspawn."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from spawning import Spawning

NOBODY = 65534
JOE = 61234  # uid and gid of a user whom no password file knows


class Instance:
    """A home, one message in its queue, and the home of joe.

    Args:
        rooted: whether it is root's instance; else a plain user's.
    """

    def __init__(self, folder: Path, rooted: bool) -> None:
        self.rooted = rooted
        self.runner = None if rooted or os.geteuid() else NOBODY  # who runs the daemons, if not we
        self.uid = os.geteuid() if self.runner is None else self.runner
        self.home, self.joe = folder / "home", folder / "joe"
        for part in ("queue/mess/0", "control", "users", "alias", "bin"):
            (self.home / part).mkdir(parents=True)
        self.joe.mkdir()
        self.owner = JOE if rooted else self.uid
        self.env = {"QMAILHOME": str(self.home)}
        self.message("0/1", b"Subject: hi\n\nhello\n")
        self.assign("joe", self.owner, self.joe)
        self.own()

    def own(self) -> None:
        """Give everything to whom it belongs."""
        if os.geteuid() == 0:
            for folder, uid in ((self.home, 0 if self.rooted else self.uid), (self.joe, self.owner)):
                for place, names, files in os.walk(folder):
                    for name in (".", *names, *files):
                        os.chown(os.path.join(place, name), uid, uid, follow_symlinks=False)
            if self.rooted:
                qmailq, alias = pwd.getpwnam("qmailq").pw_uid, pwd.getpwnam("alias").pw_uid
                os.chown(self.home / "alias", alias, -1)
                for file in (self.home / "queue/mess/0").iterdir():
                    os.chown(file, qmailq, -1)

    def message(self, name: str, content: bytes) -> None:
        (self.home / "queue/mess" / name).write_bytes(content)

    def assign(self, name: str, uid: int, home: Path, more: str = "") -> None:
        """Make users/cdb with *name* and its extensions."""
        fields = f"{name}:{uid}:{uid}:{home}"
        (self.home / "users/assign").write_text(f"={name}:{fields}:::\n+{name}-:{fields}:-::\n{more}.\n")
        assert run("qmail-newu", env=self.env).code == 0

    def write(self, name: str, content: str, mode: int = 0o644) -> None:
        """Write a file into joe's home."""
        (self.joe / name).write_text(content)
        (self.joe / name).chmod(mode)
        self.own()

    def program(self, name: str, script: str) -> None:
        """Put a program of the site's own into bin."""
        (self.home / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.home / "bin" / name).chmod(0o755)

    def lspawn(self, usual: str = "./Mailbox", **env: str) -> Spawning:
        spawning = Spawning("qmail-lspawn", usual, env={**self.env, **env}, user=self.runner)
        assert spawning.limit() == 120
        return spawning

    def once(self, recipient: bytes = b"joe@here", sender: bytes = b"sue@x.y") -> bytes:
        """The report of one delivery."""
        with self.lspawn() as spawning:
            return spawning.deliver(recipient, sender)


def instance(rooted: bool) -> Iterator[Instance]:
    folder = Path(tempfile.mkdtemp(prefix="pyqmail-"))  # and not tmp_path, which other users may not enter
    folder.chmod(0o755)
    try:
        yield Instance(folder, rooted)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def plain() -> Iterator[Instance]:
    """A plain user's instance."""
    yield from instance(False)


@pytest.fixture
def rooted() -> Iterator[Instance]:
    """Root's instance."""
    yield from instance(True)
