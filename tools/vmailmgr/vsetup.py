"""vsetup - have a user's home be that of a virtual domain

Usage: vsetup [ --quiet ]

vsetup makes in HOME, the home of a user to whom virtualdomains gives a domain, the folder users, the table of the
domain's users with each name in postmaster-aliases (root, mailer-daemon and postmaster), which has a mailbox and
forwards to postmaster-email, and last .qmail-default, by which vdeliver delivers. A .qmail-default that says something
else is kept as .qmail-default~. A user who is there is left as he is. The hooks vsetup-pre in /etc/vmailmgr and in
.vmailmgr in HOME run before that, and vsetup-post afterwards; if one fails, vsetup ends. Root becomes the owner of
HOME before all that.

The original writes .qmail-default before the table, so mail that comes in between bounces.

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
from supervise.files import announced, slurp
from tools.vmailmgr import hooks
from tools.vmailmgr.domain import Managing, Refused, Taken
from tools.vmailmgr.settings import POSTMASTERS

DELIVERY, KEPT = b".qmail-default", b".qmail-default~"
LINE = b"|vdeliver\n"


@command(b"vsetup", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vsetup", argv)
    if managing.words:
        raise Usage
    settings = managing.domain.settings
    hook(managing, b"vsetup-pre")
    try:
        make_folder(managing)
        errors = [not add_alias(managing, name.lower()) for name in settings.lines(b"postmaster-aliases", POSTMASTERS)]
        deliver(managing)
    except OSError as error:
        raise Temporary(b"unable to set up the domain", error) from None
    if not any(errors):
        hook(managing, b"vsetup-post")
    return int(any(errors))


def hook(managing: Managing, name: bytes) -> None:
    """Run the hooks called *name*.

    Raises:
        Refused: one failed; said.
    """
    if hooks.run(managing.domain.settings, name):
        raise managing.refused(b"Execution of '%s' failed!" % name)


def make_folder(managing: Managing) -> None:
    """Make the folder of the mailboxes."""
    folder = managing.domain.settings.folder(b"user-dir", b"users")
    with managing.domain.table:
        managing.domain.check_at_rest()
        there = os.path.isdir(folder)
        if not there:
            os.makedirs(folder, 0o755)
    managing.tell(b"users directory already exists." if there else b"created users directory.")


def add_alias(managing: Managing, name: bytes) -> bool:
    """Have *name* lead to the postmaster; whether that could be done, which is said."""
    domain = managing.domain
    postmaster = domain.settings.value(b"postmaster-email", b"postmaster@")
    entry = domain.new(name, b"*", domain.directory(name), True)
    entry.forwards = [postmaster]
    try:
        domain.add(entry)
    except Taken:
        managing.complain(b"warning: user '%s' already exists, skipping." % name)
        return True
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
    if there is not None:
        managing.complain(b"warning: '.qmail-default' file exists, renaming to '.qmail-default~'.")
        with announced(KEPT, KEPT + b".tmp", 0o600) as fd:
            write_all(fd, there)
    with announced(DELIVERY, DELIVERY + b".tmp", 0o600) as fd:
        write_all(fd, LINE)
    managing.tell(b"wrote '.qmail-default' file.")
