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
from tools.vmailmgr.domain import Managing, Refused, pairs


@command(b"vpasswds", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vpasswds", argv)
    if managing.words:
        raise Usage
    return managing.counted([change(managing, *pair) for pair in pairs(managing)])


def change(managing: Managing, user: bytes, password: bytes, rest: list[bytes]) -> bool:
    """Give *user* a *password*; whether that could be done, which is said."""
    from mta.pop3.passwords import hashed

    try:
        managing.domain.change(user, "password", hashed(password))
    except Refused as refused:
        managing.complain(b"error changing the password for user '%s':\n  %s" % (user, refused.line))
        return False
    managing.tell(b"password for user '%s' successfully changed." % user)
    return True
