"""vrename - call a user of a virtual domain by another name

Usage: vrename [ --quiet ] old new

vrename has the user old of the domain whose home HOME is be called new. Password, mailbox and all else stay; the
folder of the mailbox keeps its name. So a new user who is to be called old needs another folder: `vadduser -d`.
Those who forward to old still do, and such mail bounces; vchforwards has them forward to new, or vaddalias has old
forward to new.

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; all is as before

See also: vadduser, vaddalias, vchforwards
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused


@command(b"vrename", b"[ --quiet ] old new", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vrename", argv)
    if len(managing.words) != 2:
        raise Usage
    old, new = managing.words
    try:
        managing.domain.rename(old, new)
    except Refused as refused:
        raise managing.refused(b"error renaming user '%s':\n  %s" % (old, refused.line)) from None
    managing.tell(b"user '%s' is now called '%s'." % (old, new.lower()))
    return 0
