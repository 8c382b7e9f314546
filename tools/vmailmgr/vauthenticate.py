"""vauthenticate - tell whose mailbox a name and a password at a virtual domain are for

Usage: vauthenticate

vauthenticate reads a domain, a user and a password from descriptor 0, with a NUL behind each of the first two. If
checkvpw would let that user in, it prints what a program needs that does so itself: lines UID, GID, USER, HOME, MAILDIR
and VUSER, each with `=` and a value. It runs no hooks, and a domain must be virtual.

Exit status:
    0    the user may log in
    1    no such user with that password, or one who has expired
    2    descriptor 0 does not have what it should
    111  trouble that may pass, or a value with a line end in it, which would pass for another line

See also: checkvpw
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import Reader, write_all
from tools.vmailmgr.login import Rejected, enter_domain, entry_with, owner_of
from tools.vmailmgr.settings import Settings
from tools.vmailmgr.values import one_line

MOST = 511  # bytes
MISUSED = 2


@command(b"vauthenticate")
def main(argv: Argv) -> int:
    try:
        told = Reader(0).take(MOST + 1)
    except OSError as error:
        raise Temporary(b"unable to read input", error) from None
    if len(told) > MOST or told.count(b"\0") < 2:
        return MISUSED
    domain, user, password = told.split(b"\0")[:3]
    Settings().enter_qmail()
    try:
        write_all(1, answer(user, domain, password))
    except Rejected as rejected:
        return rejected.code
    return 0


def answer(user: bytes, domain: bytes, password: bytes) -> bytes:
    """The lines for *user* of *domain*, if *password* is theirs.

    Raises:
        Rejected: it is not.
        Temporary: that cannot be known now, or what the table has cannot be told.
    """
    owner = owner_of(user, domain)
    if not owner.ext:
        raise Rejected
    enter_domain(owner)
    entry = entry_with(owner, password)
    lines = [
        (b"UID", b"%d" % owner.uid),
        (b"GID", b"%d" % owner.gid),
        (b"USER", owner.name),
        (b"HOME", owner.home),
        (b"MAILDIR", entry.directory),
        (b"VUSER", entry.name),
    ]
    return b"".join(name + b"=" + one_line(name, value) + b"\n" for name, value in lines)
