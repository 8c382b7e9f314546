"""vchforwards - change to whom mail of a user of a virtual domain is forwarded

Usage: vchforwards [ --quiet ] user [ destination ... ]

vchforwards has mail for user, in the domain whose home HOME is, forwarded to each destination, an address or another
user of the domain, and to nobody else; without any, to nobody.

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; all is as before

See also: vaddalias, vchattr
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused


@command(b"vchforwards", b"[ --quiet ] user [ destination ... ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vchforwards", argv)
    if not managing.words:
        raise Usage
    user, forwards = managing.words[0].lower(), managing.words[1:]
    if managing.domain.table.find(user) is None:
        raise managing.refused(b"User '%s' does not exist." % user)
    for forward in forwards:
        try:
            managing.domain.check_forward(forward)
        except Refused as refused:
            raise managing.refused(b"error with forwarding address '%s':\n  %s" % (forward, refused.line)) from None
    try:
        managing.domain.change(user, "forwards", forwards)
    except Refused as refused:
        raise managing.refused(b"Could not change user '%s':\n  %s" % (user, refused.line)) from None
    managing.tell(b"User '%s' successfully changed." % user)
    return 0
