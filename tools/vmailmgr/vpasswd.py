"""vpasswd - change the password of a user of a virtual domain

Usage: vpasswd [ --quiet ] user

vpasswd has user in the domain whose home HOME is log in by another password from now on. It is asked for twice on a
terminal, else it is the first line of descriptor 0. It is stored as this machine hashes new ones.

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; the old password holds

See also: vpasswds, vadduser, checkvpw
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused
from tools.vmailmgr.password import new_password


@command(b"vpasswd", b"[ --quiet ] user", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vpasswd", argv)
    if len(managing.words) != 1:
        raise Usage
    user = managing.words[0].lower()
    try:
        managing.domain.change(user, "password", new_password(b"vpasswd"))
    except Refused as refused:
        if not refused.line:
            raise
        raise managing.refused(b"error changing the password for user '%s':\n  %s" % (user, refused.line)) from None
    managing.tell(b"password for user '%s' successfully changed." % user)
    return 0
