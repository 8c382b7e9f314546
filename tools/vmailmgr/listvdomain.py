"""listvdomain - list the users of a virtual domain

Usage: listvdomain [ -au ] [ --quiet ] [ user ... ]

listvdomain prints a line for each user, or for those that are named, of the domain whose home HOME is: the name, Yes
or No for a mailbox, with `(disabled)` behind if no mail goes into it, and to whom mail is forwarded.

Options:
    -a, --aliases  only those without a mailbox
    -u, --users    only those with one
    --quiet        do not say what is wrong

Exit status:
    0    done
    1    there is no such user, or no table; or wrong usage
    111  the table cannot be read, or has a name or an address with a line end in it

See also: vadduser
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from supervise.fd import write_all
from tools.vmailmgr.domain import Managing
from tools.vmailmgr.values import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.vmailmgr.entry import Entry

HEADING = b"User Mailbox Aliases\n"


@command(b"listvdomain", b"[ -au ] [ --quiet ] [ user ... ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"listvdomain", argv, b"au", {b"aliases": b"a", b"users": b"u"})
    letters = {letter for letter, _ in managing.chosen}
    if letters >= {b"a", b"u"}:
        raise managing.refused(b"specify only one of -a and -u")
    table = managing.domain.table
    if not managing.words and not os.path.lexists(table.path):
        write_all(1, HEADING)
        raise managing.refused(b"Can't open password table")
    named = [(user, table.find(user)) for user in managing.words]
    for user, found in named:
        if found is None:
            managing.complain(b"unknown user '%s'" % user)
    entries = [found for _, found in named if found] if named else table.entries()
    shown = [
        line(entry)
        for entry in entries
        if (b"u" if entry.has_mailbox else b"a") in letters or not letters & {b"a", b"u"}
    ]
    write_all(1, HEADING + b"".join(shown))
    return int(any(found is None for _, found in named))


def line(entry: Entry) -> bytes:
    """What is printed of a user.

    Raises:
        Temporary: it is not a single line.
    """
    mailbox = (b"Yes" if entry.has_mailbox else b"No") + (b"" if entry.enabled else b"(disabled)")
    return one_line(b"a user", b" ".join([entry.name, mailbox, *entry.forwards])) + b"\n"
