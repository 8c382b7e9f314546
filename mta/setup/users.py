"""The users and groups of root's instance: one for each duty, so that each part trusts the others little.

They are made by the system's own groupadd and useradd, without a password and without a shell.
"""

import grp
import os

from mta.home import DEFAULT_GROUP, GROUPS, USERS, path
from supervise.account import find_account
from supervise.errors import Temporary
from supervise.program import spawn


def missing_groups() -> list[bytes]:
    """The groups that this machine lacks."""
    names = sorted({DEFAULT_GROUP, *GROUPS.values()})
    existing = {os.fsencode(group.gr_name) for group in grp.getgrall()}
    return [name for name in names if name not in existing]


def missing_users() -> list[bytes]:
    """The users that this machine lacks."""
    return [name for name in USERS if find_account(name) is None]


def add_users() -> list[bytes]:
    """Make what is missing; a line for each that was made.

    Raises:
        Temporary: groupadd or useradd failed.
    """
    made = []
    for group in missing_groups():
        _call([b"groupadd", b"-r", group])
        made.append(b"made group " + group)
    for user in missing_users():
        folder = path(b"alias") if user == b"alias" else path()
        group = GROUPS.get(user, DEFAULT_GROUP)
        _call(
            [
                b"useradd",
                b"-r",
                b"-M",
                b"-g",
                group,
                b"-d",
                folder,
                b"-s",
                b"/usr/sbin/nologin",
                b"-c",
                USERS[user],
                user,
            ]
        )
        made.append(b"made user " + user)
    return made


def _call(argv: list[bytes]) -> None:
    _, status = os.waitpid(spawn(argv), 0)
    if status:
        raise Temporary(b"unable to run " + b" ".join(argv))
