"""qbiff - tell users who are logged in that mail has come

Usage: qbiff

qbiff writes sender, recipient, and the beginning of the message on descriptor 0 to each terminal where USER is logged
in and has said `biff y`.  In a .qmail file:

    |qbiff

Whatever goes wrong, the delivery goes on.

Exit status:
    0  always

Environment:
    USER, SENDER, LOCAL  whose mail it is, who sent it, to which address; qmail-local sets them

See also: qmail-local, maildirwatch
"""

from __future__ import annotations

import os
import stat

from mta.mailbox.summary import Summary, shown
from supervise.command import Argv, command
from supervise.errors import Trouble
from supervise.fd import Reader, write_all
from supervise.files import slurp

SESSIONS = b"/var/run/utmp"  # the system's list of who is logged in, where it keeps one
WIDTH = 78  # of a line on the terminal
INDENT = b"    "


@command(b"qbiff")
def main(argv: Argv) -> int:
    try:
        user, sender, local = (os.environb[name] for name in (b"USER", b"SENDER", b"LOCAL"))
        text = Summary(Reader(0), WIDTH - len(INDENT)).text
    except (KeyError, OSError, Trouble):
        return 0
    to_from = shown(b"*** TO <%s> FROM <%s>" % (local, sender), b"_")
    woof = b"\r\n\a%s\r\n%s%s\r\n" % (to_from, INDENT, shown(text, b"/"))
    for terminal in terminals(user):
        bark(b"/dev/" + terminal, woof)
    return 0


def terminals(user: bytes) -> list[bytes]:
    """The terminals, below /dev, where *user* is logged in."""
    try:
        if user not in (slurp(SESSIONS) or b""):
            return []
        import psutil  # slow to import; it knows the forms that the list has

        sessions = psutil.users()
    except (OSError, ImportError):
        return []
    lines = [os.fsencode(session.terminal or "") for session in sessions if os.fsencode(session.name) == user]
    return [line for line in lines if line and not line.startswith(b"/") and b"." not in line]


def bark(terminal: bytes, woof: bytes) -> None:
    """Write *woof* to *terminal* if it is ours and wants to hear it."""
    try:
        fd = os.open(terminal, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        about = os.fstat(fd)
        if about.st_mode & stat.S_IXUSR and about.st_uid == os.getuid():
            write_all(fd, woof)
    except OSError:
        pass
    finally:
        os.close(fd)
