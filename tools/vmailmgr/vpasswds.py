"""vpasswds - change the passwords of many users of a virtual domain

Usage: vpasswds [ --quiet ]

vpasswds reads lines from descriptor 0, each with a user of the domain whose home HOME is, and a password, with
blanks between them; what follows is passed over. What is wrong with a line is said, and the next one is read.

Exit status:
    0    done
    1    not all are changed; or wrong usage
    111  trouble with a file

See also: vpasswd, vaddusers
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused


@command(b"vpasswds", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vpasswds", argv)
    if managing.words:
        raise Usage
    return managing.with_each_line(change)


def change(managing: Managing, user: bytes, password: bytes, rest: list[bytes]) -> int:
    """Give *user* a *password*; 1 if that cannot be done, which is said, else 0."""
    from tools.vmailmgr.password import stored

    user = user.lower()
    try:
        managing.domain.change(user, "password", stored(password))
    except Refused as refused:
        managing.complain(b"error changing the password for user '%s':\n  %s" % (user, refused.line))
        return 1
    managing.tell(b"password for user '%s' successfully changed." % user)
    return 0
