"""Mailboxes of a domain's users: made before the user is in the table, removed when no name leads to them."""

from __future__ import annotations

import os

from mta.mailbox.maildir import FOLDERS
from supervise import files
from supervise.errors import Temporary


def make(directory: bytes, is_maildir: bool) -> None:
    """Make the folder *directory*, and a Maildir of it; what is there already stays as it is.

    Raises:
        Temporary: it cannot be done.
    """
    try:
        parent = os.path.dirname(directory.rstrip(b"/"))
        if parent:
            os.makedirs(parent, 0o755, exist_ok=True)
        for folder in (directory, *(directory + b"/" + name for name in FOLDERS if is_maildir)):
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
        files.sync_folder(directory)
        files.sync_folder(parent)
    except OSError as error:
        raise Temporary(b"unable to make the mailbox " + directory, error) from None


def empty(directory: bytes) -> bool:
    """Whether nothing is in the folder *directory* but what `make` makes, or it is not there.

    Raises:
        Temporary: that cannot be known.
    """
    try:
        return all(name in FOLDERS and not os.listdir(directory + b"/" + name) for name in os.listdir(directory))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise Temporary(b"unable to read the mailbox " + directory, error) from None


def objection(directory: bytes) -> bytes:
    """Why *directory*, which nobody has, can be nobody's mailbox, said as of an it; empty: it can be.

    Raises:
        Temporary: that cannot be known.
    """
    names = directory.rstrip(b"/").split(b"/")
    if b".." in names:
        return b"depends on another: it has .. in it"
    if names[-1].startswith(b".") and names[-1].endswith(b".deleted"):
        return b"has the name of a deleted mailbox"
    return b"" if empty(directory) else b"is there already, and not empty"


def aside_from(directory: bytes) -> bytes:
    """What the mailbox *directory* is called while it is deleted."""
    folder, name = os.path.split(directory.rstrip(b"/"))
    return os.path.join(folder, b"." + name + b".deleted")


def set_aside(directory: bytes) -> bytes:
    """Take the mailbox *directory* out of the way, so that no later user of its name finds it; what it is called now.

    Raises:
        Temporary: it cannot be done.
    """
    aside = aside_from(directory)
    try:
        discard(aside)  # left by a crash
        if is_there(directory.rstrip(b"/")):
            files.rename(directory.rstrip(b"/"), aside)
    except OSError as error:
        raise Temporary(b"unable to remove the mailbox " + directory, error) from None
    return aside


def discard(aside: bytes) -> None:
    """Remove the folder *aside* with all that is in it, if it is there; of a link, the link.

    Raises:
        OSError: it cannot be done.
    """
    if os.path.islink(aside):
        os.unlink(aside)
    elif is_there(aside):
        import shutil

        shutil.rmtree(aside)


def is_there(path: bytes) -> bool:
    """Whether *path* is there; what cannot be seen now must not be taken for missing.

    Raises:
        OSError: that cannot be known.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True
