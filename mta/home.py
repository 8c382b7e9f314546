"""The home: where an instance of the system lives, and who its processes run as.

`QMAILHOME` names the home, `/var/qmail` by default, so several instances run side by
side on one machine.  An instance has one of two owners:

* root's: `queue` belongs to qmailq, and each process runs as the user that the originals
  gave it;
* a plain user's: `queue` belongs to that user, and so does every process.
"""

from __future__ import annotations

import os

from supervise.account import become, find_account
from supervise.environment import VARIABLES
from supervise.errors import Temporary, reason

DEFAULT = b"/var/qmail"

# role: what each user is for, as in the originals
USERS = {
    b"alias": b"deliveries to addresses that belong to no user",
    b"qmaild": b"qmail-smtpd and the other servers",
    b"qmaill": b"logs",
    b"qmailp": b"looking up users",
    b"qmailq": b"the queue's files",
    b"qmailr": b"qmail-remote",
    b"qmails": b"qmail-send",
}
GROUPS = {b"alias": b"nofiles", b"qmaild": b"nofiles", b"qmaill": b"nofiles", b"qmailp": b"nofiles"}
DEFAULT_GROUP = b"qmail"


class Account:
    """A user as a process needs it: *uid* and *gid*."""

    __slots__ = ("gid", "name", "uid")

    def __init__(self, name: bytes, uid: int, gid: int) -> None:
        self.name, self.uid, self.gid = name, uid, gid


def home() -> bytes:
    """The home's folder."""
    return VARIABLES.get(b"QMAILHOME") or DEFAULT


def path(*parts: bytes) -> bytes:
    """A path below the home: `path(b"control", b"me")`."""
    return b"/".join((home(), *parts))


def program(name: bytes) -> bytes:
    """Where the home keeps one of the system's own programs: `bin/qmail-queue` below it.

    A site that puts another program there gets that one.  A home without it has the
    program looked for along `PATH`.
    """
    inside = path(b"bin", name)
    return inside if os.path.lexists(inside) else name


def plain() -> bool:
    """Whether this instance is a plain user's: we are not root, and the queue does not belong to qmailq."""
    if os.geteuid() == 0:
        return False
    owner = find_account(b"qmailq")
    try:
        return owner is None or os.stat(path(b"queue")).st_uid != owner.pw_uid
    except OSError:  # no queue yet, or none that we may see
        return True


def account(role: bytes) -> Account:
    """Who plays *role* (`qmailq`, `qmails`, ...): that user, or in a plain user's instance ourselves.

    Raises:
        Temporary: root's instance lacks the user.
    """
    if plain():
        return Account(role, os.geteuid(), os.getegid())
    found = find_account(role)
    if found is None:
        raise Temporary(b"there is no user " + role + b"; qmail-setup --users makes it")
    return Account(role, found.pw_uid, found.pw_gid)


def enter(*parts: bytes) -> None:
    """Change to a folder below the home.

    Raises:
        Temporary: we cannot.
    """
    try:
        os.chdir(path(*parts))
    except OSError as error:
        raise Temporary(b"unable to switch to " + path(*parts) + b": " + reason(error)) from None


def step_down() -> None:
    """Be the owner of a plain user's home when root looks after it: it stays a plain user's."""
    if plain():
        return
    try:
        found = os.lstat(path())
    except (FileNotFoundError, NotADirectoryError):  # else we do not know whose it is
        return
    queue = find_account(b"qmailq")
    if found.st_uid not in {0, queue.pw_uid if queue else 0}:
        become(found.st_uid, found.st_gid)
