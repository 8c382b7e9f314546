"""qmail-tcpok - forget which hosts did not answer

Usage: qmail-tcpok

qmail-tcpok clears the table of addresses that qmail-remote leaves alone because they did not answer.  They are tried
at the next delivery; `svc -a` on qmail-send has all deliveries tried at once.

Exit status:
    111  the table cannot be cleared

Files:
    queue/lock/tcpto  the table

See also: qmail-tcpto, qmail-remote, svc
"""

from __future__ import annotations

from mta.remote.timeouts import clear, table
from supervise.command import Argv, command
from supervise.errors import Temporary


@command(b"qmail-tcpok")
def main(argv: Argv) -> int:
    try:
        clear()
    except OSError as error:
        raise Temporary(b"unable to %s " % (b"write" if error.filename else b"clear") + table(), error) from None
    return 0
