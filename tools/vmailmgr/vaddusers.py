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
from supervise.fd import write_all
from tools.vmailmgr.domain import Managing, Refused, Taken


@command(b"vaddusers", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vaddusers", argv)
    if managing.words:
        raise Usage
    return managing.with_each_line(add)


def add(managing: Managing, user: bytes, password: bytes, aliases: list[bytes]) -> int:
    """Add *user*, and the *aliases*; how many of them could not be, which is said."""
    from tools.vmailmgr.password import stored

    domain, user = managing.domain, user.lower()
    try:
        domain.add(domain.new(user, stored(password), domain.directory(user), True))
    except Taken:
        managing.complain(b"error: user '%s' already exists, skipping." % user)
        return 1
    except Refused as refused:
        managing.complain(b"error adding the virtual user, skipping aliases:\n  " + refused.line)
        return 1
    added = [b"added user '%s'" % user]
    for alias in map(bytes.lower, aliases):
        try:
            domain.add(domain.alias(alias, user, b""))
            added.append(b"alias '%s'" % alias)
        except Taken:
            managing.complain(b"warning: alias '%s' already exists, skipping." % alias)
        except Refused as refused:
            managing.complain(b"warning: adding the alias '%s' failed:\n  %s" % (alias, refused.line))
    if not managing.quiet:
        write_all(1, b", ".join(added) + b"\n")
    return 1 + len(aliases) - len(added)
