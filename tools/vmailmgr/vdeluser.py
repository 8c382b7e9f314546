"""vdeluser - delete users of a virtual domain

Usage: vdeluser [ -D ] user ...

vdeluser deletes each user and the user's mailbox with all that is in it. Whenever it is cut short, the next user of
that name never finds the mail of this one. A folder that another user has too, or that lies above or below another
user's, or outside the domain's home, stays, and that is said; so, too, the folder of all mailboxes and the home.

Options:
    -D, --no-mailbox  spare users who have a mailbox
    --quiet           say nothing

Exit status:
    0    done
    1    not all are deleted; or wrong usage
    111  trouble with a file

See also: vadduser
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused


@command(b"vdeluser", b"[ -D ] user ...", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vdeluser", argv, b"D", {b"no-mailbox": b"D"})
    if not managing.words:
        raise Usage
    return managing.counted(not delete(managing, user) for user in managing.words)


def delete(managing: Managing, user: bytes) -> bool:
    """Delete *user*; whether that could be done, which is said."""
    try:
        kept = managing.domain.delete(user, (b"D", b"") not in managing.chosen)
    except Refused as refused:
        managing.complain(b"error deleting user '%s':\n  %s" % (user, refused.line))
        return False
    if kept:
        managing.complain(b"warning: " + kept)
    managing.tell(b"user '%s' successfully deleted." % user)
    return True
