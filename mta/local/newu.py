"""qmail-newu - make users/cdb from users/assign

Usage: qmail-newu

qmail-newu reads users/assign below the home, which says who a local address belongs to, and
writes users/cdb, which qmail-lspawn looks into.  Deliveries see the old table or the new
one; when something is wrong, the old one stays.

Exit status:
    111  users/assign is missing or wrong, or users/cdb cannot be written

Files:
    users/assign   lines =LOCAL:user:uid:gid:home:dash:ext: or +LOC:user:uid:gid:home:dash:pre:,
                   and one that begins with a dot at the end
    users/cdb.tmp  the new table, being written

See also: qmail-users, qmail-lspawn, qmail-getpw
"""

from __future__ import annotations

import os

from mta import home
from mta.local.users import records
from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.files import slurp


@command(b"qmail-newu")
def main(argv: Argv) -> int:
    from ucspi import cdb  # slow to import

    os.umask(0o33)
    try:
        os.chdir(home.home())
    except OSError:
        raise Temporary(b"unable to chdir") from None
    assign = read()
    try:
        cdb.write(b"users/cdb", b"users/cdb.tmp", records(assign))
    except OSError as error:
        raise Temporary(obstacle(error)) from None
    return 0


def read() -> bytes:
    """The content of users/assign."""
    try:
        content = slurp(b"users/assign")
    except OSError as error:
        what = b"open" if error.filename else b"read"
        raise Temporary(b"unable to %s users/assign" % what) from None
    if content is None:
        raise Temporary(b"unable to open users/assign")
    return content


def obstacle(error: OSError) -> bytes:
    """Which step failed."""
    if error.filename2:
        return b"unable to move users/cdb.tmp to users/cdb"
    return b"unable to %s users/cdb.tmp" % (b"open" if error.filename else b"write")
