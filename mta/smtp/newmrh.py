"""qmail-newmrh - make control/morercpthosts.cdb from control/morercpthosts

Usage: qmail-newmrh

qmail-newmrh reads control/morercpthosts below the home and writes control/morercpthosts.cdb, in which qmail-smtpd
looks for hosts that are not in control/rcpthosts.  Sessions see the old table or the new one; when something is
wrong, the old one stays.

control/morercpthosts has a host on each line, `.example` for all hosts below example.  Blanks at the end of a line,
empty lines, and lines that begin with `#` do not count, nor does case.

Exit status:
    111  control/morercpthosts is missing, or the table cannot be written

Files:
    control/morercpthosts.tmp  the new table, being written

See also: qmail-smtpd, qmail-newu
"""

from __future__ import annotations

import os

from mta import control, home
from supervise.command import Argv, command
from supervise.errors import Temporary

SOURCE, DRAFT, TABLE = (b"control/morercpthosts" + ending for ending in (b"", b".tmp", b".cdb"))


@command(b"qmail-newmrh")
def main(argv: Argv) -> int:
    from ucspi import cdb  # slow to import

    os.umask(0o33)
    home.enter()
    hosts = control.lines(b"morercpthosts")
    if hosts is None:
        raise Temporary(b"unable to read " + SOURCE + b": file does not exist")
    try:
        cdb.write(TABLE, DRAFT, ((host.lower(), b"") for host in hosts))
    except OSError as error:
        raise Temporary(obstacle(error), error) from None
    return 0


def obstacle(error: OSError) -> bytes:
    """Which step failed."""
    return b"unable to move %s to %s" % (DRAFT, TABLE) if error.filename2 else b"unable to write to " + DRAFT
