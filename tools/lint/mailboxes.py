"""Whether an address of this machine leads to somebody."""

from __future__ import annotations

import os
import stat

from mta.home import path
from mta.local import dotqmail, users
from mta.local.getpw import find_user
from supervise.errors import Temporary, passing


def lacks(local: bytes, any_ext: bool = False) -> bytes:
    """What the local part *local* lacks, so that mail for it would bounce or wait; nothing where that cannot be known.

    Args:
        any_ext: *local* is only a beginning, and something must be there for some address that begins so.
    """
    try:
        user = users.assigned(local) or find_user(local)
        if user is None:
            return b"there is no user alias"
        if user.uid == 0:
            return b"it is root's, for whom no mail is delivered"
        if not user.dash or user.home != alias_home() or not os.access(user.home, os.R_OK | os.X_OK):
            return b""
        if any(is_file(user.home + b"/" + name) for name, _ in dotqmail.names(user.dash, user.ext)):
            return b""
        name = dotqmail.stem(user.dash, user.ext)
        if any_ext and any(file.startswith(name) for file in os.listdir(user.home)):
            return b""
    except (Temporary, ValueError, OSError):
        return b""
    return b"there is no %s" % name + (b"..." if any_ext else b"") + b" among the aliases"


def is_file(name: bytes) -> bool:
    """Whether *name* leads to a file, which may be of any size.

    Raises:
        OSError: who knows.
    """
    try:
        return stat.S_ISREG(os.stat(name).st_mode)
    except OSError as error:
        if passing(error) or isinstance(error, PermissionError):
            raise
        return False


def alias_home() -> bytes:
    """Where the aliases are."""
    user = find_user(b"alias")
    return user.home if user else path(b"alias")
