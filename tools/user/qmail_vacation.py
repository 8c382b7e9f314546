"""qmail-vacation - answer mail while its reader is away

Usage: qmail-vacation [ -jn ] [ -tN ] [ -aADDRESS ] [ -mFILE ] [ user ]
       qmail-vacation -I
       qmail-vacation -s

This is vacation under a name that no other program has.

Exit status:
    that of vacation

See also: vacation
"""

from __future__ import annotations

from supervise.command import Argv, command
from tools.user.vacation import USAGE, attend


@command(b"qmail-vacation", USAGE)
def main(argv: Argv) -> int:
    return attend(argv)
