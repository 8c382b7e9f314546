"""The messages of a Maildir, as its readers see them."""

from __future__ import annotations

import os
import time

from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ABANDONED = 129600  # seconds, 36 hours, after which nobody is writing to a file in tmp any more
NEW, CUR = b"new", b"cur"


class Message:
    """A message: its *path* below the Maildir, and *when* it came, in seconds since 1970."""

    __slots__ = ("path", "when")

    def __init__(self, path: bytes, when: int) -> None:
        self.path, self.when = path, when


def variable(name: bytes) -> bytes:
    """The variable *name* of the environment.

    Raises:
        Temporary: it is not set.
    """
    value = os.environb.get(name)
    if value is None:
        raise Temporary(name + b" not set")
    return value


def enter() -> None:
    """Change to the Maildir that the variable MAILDIR names.

    Raises:
        Temporary: it names none.
    """
    maildir = variable(b"MAILDIR")
    try:
        os.chdir(maildir)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + maildir, error) from None


def clean() -> None:
    """Remove from tmp what deliveries that died have left, 36 hours after anybody has read it."""
    try:
        names = os.listdir(b"tmp")
    except OSError:
        return
    now = int(time.time())
    for name in visible(names):
        draft = b"tmp/" + name
        try:
            if now > int(os.stat(draft).st_atime) + ABANDONED:
                os.unlink(draft)
        except OSError:
            pass


def messages(folders: Iterable[bytes]) -> list[Message]:
    """The messages in *folders*, the oldest first.

    What has come in this second is left for the next time, so that whatever comes later sorts behind it.

    Raises:
        Temporary: a folder cannot be read.
    """
    now = int(time.time())
    found = []
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise Temporary(b"unable to scan $MAILDIR/" + folder, error) from None
        for name in visible(names):
            path = folder + b"/" + name
            try:
                when = int(os.stat(path).st_mtime)
            except OSError:  # somebody else has moved it
                continue
            if when < now:
                found.append(Message(path, when))
    return sorted(found, key=lambda message: message.when)


def visible(names: list[bytes]) -> list[bytes]:
    """Those of *names* that do not begin with a dot."""
    return [name for name in names if not name.startswith(b".")]
