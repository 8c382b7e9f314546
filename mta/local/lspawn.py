"""qmail-lspawn - start deliveries to users of this machine

Usage: qmail-lspawn defaultdelivery

qmail-lspawn takes requests from qmail-send on descriptor 0 and reports on 1, as
qmail-rspawn does.  It finds the user of an address in users/cdb, else asks qmail-getpw,
and runs qmail-local as that user, never as root; defaultdelivery is what qmail-local does
for a user without a .qmail file, in the words of one: `./Maildir/`.

It runs as root.  Whatever belongs to a user is touched only by workers that have become
that user; they serve one delivery after another, and others of the same user only.
In a plain user's instance nobody becomes anybody, and mail for other users waits.

Exit status:
    0    qmail-send is gone and all deliveries have ended
    111  the home or its queue cannot be entered
    100  wrong usage

Files:
    users/cdb        who has which address, made by qmail-newu
    bin/qmail-local  run instead of ours if it is another program; bin/qmail-getpw too
    queue/mess       the messages

See also: qmail-send, qmail-local, qmail-getpw, qmail-newu
"""

from __future__ import annotations

import os

from mta import home
from mta.local import users
from mta.local.users import User
from mta.spawner import Done, Job, Spawner
from supervise.account import become
from supervise.command import Argv, command
from supervise.errors import TEMPORARY, Temporary, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Hashable

    from mta.spawner import Request, Steps

QMAILP = b"qmailp"  # the key of the workers that look users up
DEFERRED = (71, 74, 75, TEMPORARY)  # exit codes of qmail-local, besides it those of sysexits.h
TEXTS = {  # exit codes with a text of ours: of qmail-getpw, of other programs in bin, of the original qmail-lspawn
    112: b"ZInternal qmail-lspawn bug.\n",
    113: b"ZNot allowed to perform deliveries as root.\n",
    115: b"ZNFS failure in qmail-local.\n",
    116: b"ZUnable to find alias user!\n",
    117: b"ZTrouble reading users/cdb in qmail-lspawn.\n",
    118: b"ZTemporary failure in qmail-lspawn.\n",
    119: b"ZOut of memory in qmail-lspawn.\n",
    120: b"ZUnable to run qmail-local.\n",
    121: b"ZUnable to run qmail-getpw.\n",
    126: b"DUnable to run qmail-local.\n",
}
BUG, AS_ROOT, CDB, SYSTEM = 112, 113, 117, 118
LONGEST = 3000  # bytes of a report
CUT = b"\nError report too long, sorry.\n"


class Refused(Exception):
    """The delivery ends with *report*."""

    def __init__(self, report: bytes) -> None:
        self.report = report


@command(b"qmail-lspawn", b"defaultdelivery")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    import mta.local.getpw
    import mta.local.local
    import mta.queue.submit  # noqa: F401  # what our workers run: loaded once, here

    return Spawner(lambda request: deliver(request, argv[1]), turn_into).serve()


def deliver(request: Request, usual: bytes) -> Steps:
    """The steps of a delivery, and its report; *usual* is the default delivery."""
    if not request.local:  # the address of nobody
        return b"K"
    try:
        user = assigned(request.local) or (yield from looked_up(request.local))
        return report((yield local(user, request, usual)))
    except Refused as refused:
        return refused.report


def assigned(address: bytes) -> User | None:
    """The user to whom users/cdb gives *address*, or None.

    Raises:
        Refused: it cannot be read now, or is damaged.
    """
    try:
        return users.assigned(address)
    except Temporary:
        raise Refused(TEXTS[CDB]) from None
    except ValueError:
        raise Refused(TEXTS[BUG]) from None


def looked_up(address: bytes) -> Generator[Job, Done, User]:
    """Ask qmail-getpw for the user who has *address*.

    Raises:
        Refused: it does not say.
    """
    argv = [home.program(b"qmail-getpw"), address]
    done = yield Job(argv, None if home.plain() else QMAILP, outputs=(1,))
    if done.crashed:
        raise Refused(TEXTS[SYSTEM])
    if done.code:
        raise Refused(report(done))
    return parse(done.output)


def parse(data: bytes) -> User:
    """The user of *data*.

    Raises:
        Refused: it is malformed.
    """
    try:
        return User.parse(data)
    except ValueError:
        raise Refused(TEXTS[BUG]) from None


def local(user: User, request: Request, usual: bytes) -> Job:
    """qmail-local for *user*, as that user.

    Raises:
        Refused: as root, or as somebody else in a plain user's instance.
    """
    if user.uid == 0:
        raise Refused(TEXTS[AS_ROOT])
    argv = [home.program(b"qmail-local"), b"--", user.name, user.home, request.local]
    argv += [user.dash, user.ext, request.host, request.sender, usual]
    if not home.plain():
        return Job(argv, (user.uid, user.gid))
    if user.uid != os.geteuid():
        raise Refused(b"ZSorry, I may not deliver as %s. (#4.3.5)\n" % user.name)
    return Job(argv)


def turn_into(key: Hashable) -> None:
    """Become whom a new worker serves, for good, in a folder that everybody may enter: it goes back there each time.

    Args:
        key: QMAILP, or a user's uid and gid; None in a plain user's instance, where we stay who we are.
    """
    if key is None:
        return
    os.chdir(b"/")
    if key == QMAILP:
        account = home.account(b"qmailp")
        key = account.uid, account.gid
    assert isinstance(key, tuple)
    uid, gid = key
    become(uid, gid)


def report(done: Done) -> bytes:
    """What qmail-send hears of a run of qmail-local: a letter by the exit code, and its output."""
    if done.crashed:
        return b"Zqmail-local crashed.\n"
    if done.code in TEXTS:
        return TEXTS[done.code]
    letter = b"K" if done.code == 0 else b"Z" if done.code in DEFERRED else b"D"
    text = done.output
    if len(text) > LONGEST:
        text = text[: LONGEST - len(CUT) - 3] + CUT
    return letter + text
