"""The Maildir that MAILDIR names, as programs that mail readers start see it."""

from __future__ import annotations

import os

from mta.mailbox import reading
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.mailbox.reading import Message


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
    """Change to the Maildir.

    Raises:
        Temporary: there is none.
    """
    maildir = variable(b"MAILDIR")
    try:
        os.chdir(maildir)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + maildir, error) from None


def messages(*folders: bytes) -> list[Message]:
    """The messages in *folders* of the Maildir that we stand in, by default all, the oldest first; leftovers in tmp go.

    Raises:
        Temporary: a folder cannot be read.
    """
    reading.clean()
    try:
        return reading.messages(*folders)
    except OSError as error:
        raise Temporary(b"unable to scan $MAILDIR/" + (error.filename or b""), error) from None
