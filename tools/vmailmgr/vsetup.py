"""vsetup - have a user's home be that of a virtual domain

Usage: vsetup [ --quiet ]

vsetup makes in HOME, the home of a user to whom virtualdomains gives a domain, the folder users, the table of the
domain's users with an alias for each name in postmaster-aliases (root, mailer-daemon and postmaster), which leads to
postmaster-email, and last .qmail-default, by which vdeliver delivers. A .qmail-default that says something else is
kept as .qmail-default~, unless there is one already. What is there is left as it is.

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; give the command again

See also: vadduser, vdeliver
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.fd import write_all
from supervise.files import announced, link, slurp
from tools.vmailmgr.domain import Managing, Refused
from tools.vmailmgr.settings import POSTMASTERS

DELIVERY, KEPT = b".qmail-default", b".qmail-default~"
LINE = b"|vdeliver\n"


@command(b"vsetup", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vsetup", argv)
    if managing.words:
        raise Usage
    try:
        make_folder(managing)
        errors = [
            not add_alias(managing, name) for name in managing.domain.settings.lines(b"postmaster-aliases", POSTMASTERS)
        ]
        deliver(managing)
    except OSError as error:
        raise Temporary(b"unable to set up the domain", error) from None
    return int(any(errors))


def make_folder(managing: Managing) -> None:
    """Make the folder of the mailboxes."""
    folder = managing.domain.settings.folder(b"user-dir", b"users")
    if not os.path.isdir(folder):
        os.mkdir(folder, 0o755)
        managing.tell(b"created users directory.")


def add_alias(managing: Managing, name: bytes) -> bool:
    """Have *name* lead to the postmaster; whether that could be done, which is said."""
    domain = managing.domain
    if domain.table.find(name) is not None:
        return True
    postmaster = domain.settings.value(b"postmaster-email", b"postmaster@")
    try:
        domain.add(domain.new(name, b"*", domain.directory(name.lower()), [postmaster], False))
    except Refused as refused:
        managing.complain(b"error: adding alias '%s' failed:\n  %s" % (name, refused.line))
        return False
    managing.tell(b"added alias '%s'" % name)
    return True


def deliver(managing: Managing) -> None:
    """Have vdeliver deliver; at no moment is mail without instructions."""
    there = slurp(DELIVERY)
    if there == LINE:
        return
    if there is not None and not os.path.lexists(KEPT):
        managing.complain(b"warning: '.qmail-default' file exists, keeping it as '.qmail-default~'")
        link(DELIVERY, KEPT, sync=False)
    with announced(DELIVERY, DELIVERY + b".tmp", 0o600) as fd:
        write_all(fd, LINE)
    managing.tell(b"wrote '.qmail-default' file.")
