"""The home of a virtual domain, where its commands run as its owner."""

from __future__ import annotations

import os
import stat

from supervise.account import become


def enter(home: bytes) -> None:
    """Change to *home*; root becomes its owner, whose mail does not come in by what belongs to root.

    Raises:
        OSError: we cannot.
    """
    if stat.S_ISLNK((found := os.lstat(home)).st_mode):
        step_down(found)  # where a link of somebody's leads is up to them
    os.chdir(home)
    step_down(os.stat(b"."))


def step_down(found: os.stat_result) -> None:
    """Be the owner of what *found* is about, with the owner's group, if we are root.

    Raises:
        OSError: we cannot.
    """
    if os.geteuid() or not found.st_uid:
        return
    import pwd

    try:
        group = pwd.getpwuid(found.st_uid).pw_gid
    except KeyError:
        group = found.st_gid
    become(found.st_uid, group)
