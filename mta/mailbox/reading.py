"""Read a Maildir: which messages it has, and what a reader does to them.

Everybody here stands in the Maildir.  A name in new/ or cur/ that begins with a dot is no message.  What has its
name for less than a second is not seen yet, so that the order of messages, which is the order of their times,
does not change when one more comes.
"""

from __future__ import annotations

import os
import time

from supervise import files

STALE = 129600  # seconds after which a file in tmp/ belongs to nobody: 36 hours
SECOND = 1_000_000_000  # nanoseconds
INFO = b":2,"  # what a name in cur/ has behind it, with its flags
NEW, CUR = b"new", b"cur"


class Message:
    """A message by its *name*, as `new/1600000001.11.host`, with its *size* in bytes, and *when* it came (seconds)."""

    __slots__ = ("name", "size", "when")

    def __init__(self, name: bytes, size: int, when: int) -> None:
        self.name, self.size, self.when = name, size, when

    @property
    def unique(self) -> bytes:
        """What the message is called wherever it lies and whatever flags it has."""
        return self.name[len(b"new/") :].partition(b":")[0]


def clean() -> None:
    """Remove from tmp/ what nobody has touched for 36 hours."""
    now = int(time.time())
    try:
        with os.scandir(b"tmp") as entries:
            for entry in entries:
                if not entry.name.startswith(b"."):
                    remove_stale(entry, now)
    except OSError:  # there is no tmp/, or it is not ours to clean
        pass


def remove_stale(entry: os.DirEntry[bytes], now: int) -> None:
    """Remove a file in tmp/ if it is stale."""
    try:
        if int(entry.stat().st_atime) + STALE < now:
            os.unlink(entry.path)
    except OSError:
        pass


def messages(*folders: bytes) -> list[Message]:
    """The messages in *folders*, by default both, the oldest first; those of one moment in the order of their names.

    Raises:
        OSError: one of them cannot be read, its `filename`.
    """
    now = int(time.time())
    found: list[tuple[int, bytes, int]] = []
    for folder in folders or (NEW, CUR):
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(b"."):
                    continue
                try:
                    about = entry.stat()
                except OSError:  # it has gone, or is a link to nowhere
                    continue
                if about.st_mtime_ns // SECOND < now:
                    found.append((about.st_mtime_ns, entry.path, about.st_size))
    return [Message(name, size, when // SECOND) for when, name, size in sorted(found)]


def seen(message: Message) -> None:
    """Move a message in new/ to cur/; it stays where it is if that cannot be done.

    It has one of the two names at any moment, and takes nobody else's.
    """
    name = b"cur/" + message.name[len(b"new/") :] + INFO
    if os.path.lexists(name):
        return
    try:
        files.rename(message.name, name, sync=False)
    except OSError:
        pass
