"""The home of a virtual domain, where its commands run as its owner."""

from __future__ import annotations

import errno
import os
import stat

from supervise.account import become

MOST_LINKS = 40  # on the way to a home


def enter(home: bytes) -> None:
    """Change to *home*; root becomes its owner, whose mail does not come in by what belongs to root.

    On the way there root becomes whoever owns a folder or a link: where that leads is up to its owner.

    Raises:
        OSError: we cannot.
    """
    names = home.split(b"/")
    where = start(home)
    try:
        links = 0
        while names and not os.geteuid():
            name = names.pop(0) or b"."
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=where)
            found = os.fstat(inner)
            step_down(found)
            if stat.S_ISLNK(found.st_mode):
                os.close(inner)
                target = os.readlink(name, dir_fd=where)
                names = target.split(b"/") + names
                inner = start(target) if target.startswith(b"/") else os.dup(where)
                if (links := links + 1) > MOST_LINKS:
                    os.close(inner)
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            os.close(where)
            where = inner
        if os.geteuid():
            os.chdir(home)
        else:
            os.fchdir(where)
    finally:
        os.close(where)


def start(path: bytes) -> int:
    """A descriptor of the folder at which *path* begins."""
    return os.open(b"/" if path.startswith(b"/") else b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


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
