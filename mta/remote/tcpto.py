"""qmail-tcpto - show which hosts did not answer

Usage: qmail-tcpto

qmail-tcpto prints a line for each address to which the last attempts to connect ran into their time limit:

    192.0.2.5 timed out 310 seconds ago; # recent timeouts: 2

After two in a row qmail-remote leaves an address alone for about an hour.  An address of 240.0.0.0/4, which no host
can have, stands for an IPv6 one.  Failures are told on descriptor 1, too, as they always were.

Exit status:
    111  the table cannot be read

Files:
    queue/lock/tcpto  the table

See also: qmail-tcpok, qmail-remote, qmail-rspawn
"""

from __future__ import annotations

import time

from mta.remote.timeouts import entries
from supervise.command import Argv, command
from supervise.errors import TEMPORARY, reason
from supervise.fd import write_all


@command(b"qmail-tcpto")
def main(argv: Argv) -> int:
    try:
        found = entries()
    except OSError as error:
        write_all(1, b"fatal: unable to %s tcpto: %s\n" % (b"open" if error.filename else b"read", reason(error)))
        return TEMPORARY
    now = int(time.time())
    line = b"%s timed out %d seconds ago; # recent timeouts: %d\n"
    write_all(1, b"".join(line % (e.address().encode(), now - e.when, e.failures) for e in found if e.failures))
    return 0
