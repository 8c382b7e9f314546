"""vadduser - add a user to a virtual domain

Usage: vadduser [ -DP ] [ -f address ] user [ alias ... ]

vadduser makes a mailbox for user in the domain whose home HOME is, and has the user in the domain's table, each
alias with it as one that forwards to user. The password is asked for twice on a terminal, else it is the first line
of descriptor 0. It is stored as this machine hashes new ones.

Options:
    -D          no mailbox
    -P          no password
    -f address  forward to address, too; may be given several times
    --quiet     say nothing

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; nothing is added

See also: vdeluser, vdeliver
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused
from tools.vmailmgr.password import new_password


@command(b"vadduser", b"[ -DP ] [ -f address ] user [ alias ... ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vadduser", argv, b"DPf:")
    if not managing.words:
        raise Usage
    domain, (user, *aliases) = managing.domain, managing.words
    if domain.table.find(user) is not None:
        raise managing.refused(b"error: user '%s' already exists." % user)
    password = b"*" if (b"P", b"") in managing.chosen else new_password(b"vadduser")
    forwards = [value for letter, value in managing.chosen if letter == b"f"]
    has_mailbox = (b"D", b"") not in managing.chosen
    try:
        for forward in forwards:
            domain.check_forward(forward)
        domain.add(domain.new(user, password, b"./" + domain.directory(user.lower()), forwards, has_mailbox))
    except Refused as refused:
        raise managing.refused(b"error adding the virtual user:\n  " + refused.line) from None
    managing.tell(b"user '%s' successfully added" % user)
    managing.add_aliases(user, aliases)
    return 0
