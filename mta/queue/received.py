"""The Received line that the queue puts on top of every message (RFC 5321, section 4.4, in qmail's form).

    Received: (qmail 1234 invoked by alias); 26 Sep 1995 04:46:54 -0000

The number is the process that queued the message.  Its submitter is told by the uid:
`by alias`, `from network` (qmaild), `for bounce` (qmails), or `by uid N`.
"""

from __future__ import annotations

import os

from mta.date import header_date
from supervise.account import find_account

ROLES = ((b"alias", b"by alias"), (b"qmaild", b"from network"), (b"qmails", b"for bounce"))


def origins(queue: bytes = b".") -> dict[int, bytes]:
    """How the *queue*, by default the one that we stand in, calls some users, by uid.

    In a plain user's queue everybody is that user, and nobody has a name of their own.
    """
    owner = find_account(b"qmailq")
    if owner is None or owner.pw_uid != os.stat(queue).st_uid:
        return {}
    names: dict[int, bytes] = {}
    for role, name in ROLES:
        account = find_account(role)
        if account is not None:
            names.setdefault(account.pw_uid, name)
    return names


def line(pid: int, uid: int, names: dict[int, bytes]) -> bytes:
    """The line for a message queued now by process *pid* for user *uid*; *names* as from `origins`."""
    return b"Received: (qmail %d invoked %s); %s\n" % (pid, names.get(uid) or b"by uid %d" % uid, header_date())
