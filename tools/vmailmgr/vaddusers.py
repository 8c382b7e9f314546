"""vaddusers - add many users to a virtual domain

Usage: vaddusers [ --quiet ]

vaddusers reads lines from descriptor 0, each with a user, a password and, if there are any, aliases, with blanks
between them, and adds them to the domain whose home HOME is as vadduser does. What is wrong with a line is said, and
the next one is read.

Exit status:
    0    done
    1    not all are added; or wrong usage
    111  trouble with a file

See also: vadduser, vpasswds
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused, pairs


@command(b"vaddusers", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vaddusers", argv)
    if managing.words:
        raise Usage
    return managing.counted([add(managing, *pair) for pair in pairs(managing)])


def add(managing: Managing, user: bytes, password: bytes, aliases: list[bytes]) -> bool:
    """Add *user*, and the *aliases*; whether the user could be, which is said."""
    from mta.pop3.passwords import hashed

    domain = managing.domain
    try:
        domain.add(domain.new(user, hashed(password), b"./" + domain.directory(user.lower()), [], True))
    except Refused as refused:
        managing.complain(b"error adding the virtual user '%s', skipping aliases:\n  %s" % (user, refused.line))
        return False
    managing.tell(b"added user '%s'" % user)
    managing.add_aliases(user, aliases)
    return True
