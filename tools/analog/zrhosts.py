"""zrhosts - report which hosts get mail

Usage: zrhosts < results

zrhosts reads what matchup has written and adds up delivery attempts by the host of the recipient: bytes delivered,
messages, attempts, and how long they took. The host that took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import recipients


@command(b"zrhosts")
def main(argv: Argv) -> int:
    recipients(b"zrhosts", b"Recipient hosts", b"host", lambda one: one.host)
    return 0
