"""qmail-lint - look for mistakes in settings

Usage: qmail-lint [ -e ]

qmail-lint reads control, users and alias below the home, changes nothing, and prints a line for everything that is
surely or probably a mistake, with its file and, if it is in one, its line:

    control/locals:3: old.example is not in control/rcpthosts, so SMTP clients may not send to it
    control/rcpthost: no program reads a file of this name; is it to be rcpthosts?

It looks for
    - control files of names that no program knows; me and rcpthosts missing
    - lines, host names, addresses and numbers that are written wrongly, lines that do not count because of others, and
      carriage returns at the ends of lines
    - concurrencies, a lifetime and time limits of 0, and numbers that are out of range
    - hosts in locals that are not in rcpthosts, or in virtualdomains too; virtual domains of nobody; hosts of
      percenthack through which SMTP clients may send anywhere
    - control/defaultdelivery, control/scanner and control/rewrite, as far as they are there; a quarantine that is no
      Maildir, or to which qmaild may not write
    - users/assign: lines of no known form, for addresses that another line has, for root
    - users/cdb and control/morercpthosts.cdb: missing, damaged, not what was written
    - addresses that every mail system must have: postmaster, mailer-daemon, root; double bounces that reach nobody
    - .qmail files of alias that delivery stops at, or that no address leads to; in them and in control/defaultdelivery
      lines that say nothing, and programs (by a whole path) and Maildirs that are not there
    - owners and modes: who may change settings, and whether those who have to read them may

A null client is one whose bin/qmail-queue is a link to qmail-qmqpc, and that has no control file of qmail-send,
qmail-remote or qmail-smtpd but me.  It needs a server in control/qmqpservers, and neither rcpthosts nor users and
aliases, which are not looked at.

A file that cannot be checked has a line that says why, and the others are checked nevertheless.  A file of more than 64
MB, or a .qmail file of more than 4 MB, is not read; of one file, no more than 1000 mistakes are told.

Whoever runs it must be able to read all that; root is.  For root too, a plain user's home is that user's.

The original has no option, always exits 0, and does not look at most of this.

Options:
    -e    exit 1 when there is something to complain of

Exit status:
    0    done, whatever was found
    1    with -e: something was found
    100  wrong usage
    111  there is no home, or a folder cannot be read; a user of the system is missing

Environment:
    QMAILHOME  the home; /var/qmail by default

See also: qmail-setup, qmail-showctl, qmail-qsanity, tcprulescheck
"""

from __future__ import annotations

import os

from mta.home import enter, path, step_down
from supervise.command import Argv, command
from supervise.errors import PRINTABLE, Usage
from supervise.fd import write_all
from supervise.options import options
from tools.lint import access, aliases, assigned, controls, hosts, nullclient
from tools.lint.settings import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Complaints

FOUND = 1  # exit code, if it is asked for


@command(b"qmail-lint", b"[ -e ]")
def main(argv: Argv) -> int:
    chosen, rest = options(argv, b"e")
    if rest:
        raise Usage
    os.environb[b"QMAILHOME"] = os.path.abspath(path())
    enter()
    step_down()
    found = sorted(complaints())
    for file, line, what in found:
        where = b"%s:%d" % (file, line) if line else file
        write_all(1, (where + b": " + what).translate(PRINTABLE) + b"\n")
    return FOUND if found and chosen else 0


def complaints() -> Complaints:
    """All that is wrong."""
    control, users = Folder(b"control"), Folder(b"users")
    if nullclient.is_null_client(control):
        yield from nullclient.complaints(control)
        yield from controls.complaints(control)
        return
    yield from access.complaints(control, users)
    yield from controls.complaints(control)
    yield from hosts.complaints(control)
    yield from assigned.complaints(users)
    yield from aliases.complaints()
