"""Whether mail can be delivered to a Maildir that a setting names."""

from __future__ import annotations

import os

from mta.home import account, plain
from tools.lint.access import may

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def lacks(maildir: bytes, role: bytes) -> Iterator[bytes]:
    """What *maildir*, a path with a slash at its end, lacks for *role* to deliver to it."""
    missing = [name for name in (b"tmp", b"new", b"cur") if not os.path.isdir(maildir + name)]
    if missing:
        yield b"%s is no Maildir: it lacks %s" % (maildir, b", ".join(missing))
    elif not plain():  # there, all roles are one user
        yield from barriers(maildir, role)


def barriers(maildir: bytes, role: bytes) -> Iterator[bytes]:
    """The first folder where *role* may not do what a delivery does."""
    user = account(role)
    whole = os.path.realpath(maildir)
    steps = [whole[:at] or b"/" for at in range(len(whole)) if whole[at : at + 1] == b"/"]
    for folder in (*steps, whole):
        if not may(os.stat(folder), user, os.X_OK):
            yield b"%s may not go through %s" % (role, folder)
            return
    for name in (b"tmp", b"new"):
        if not may(os.stat(maildir + name), user, os.W_OK | os.X_OK):
            yield b"%s may not write to %s" % (role, maildir + name)
            return
