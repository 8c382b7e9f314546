"""Users and groups: look them up, become them for good."""

from __future__ import annotations

import os

from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd


def find_account(name: bytes) -> pwd.struct_passwd | None:
    """The password file's entry for *name*, or None."""
    import pwd

    try:
        return pwd.getpwnam(os.fsdecode(name))
    except (KeyError, ValueError):  # ValueError: a NUL in the name
        return None


def account_of(name: bytes) -> pwd.struct_passwd:
    """The password file's entry for *name*.

    Raises:
        Temporary: there is none, or not now.
    """
    account = find_account(name)
    if account is None:
        raise Temporary(b"unknown account " + name)
    return account


def become(uid: int, gid: int, groups: list[int] | None = None) -> None:
    """Become *uid* and *gid*, with *groups* besides (none by default), with no way back.

    Raises:
        OSError: we may not.
    """
    become_group(gid, groups)
    os.setuid(uid)


def become_group(gid: int, groups: list[int] | None = None) -> None:
    """Take *gid* as our group, with *groups* besides (none by default); must come before the uid.

    Raises:
        OSError: we may not.
    """
    os.setgroups([gid] if groups is None else groups)
    os.setgid(gid)
