"""zrecipients - report who gets mail

Usage: zrecipients < results

zrecipients reads what matchup has written and adds up delivery attempts by recipient: bytes delivered, messages,
attempts, and how long they took. A recipient is a channel, a dot and an address. Who took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import recipients


@command(b"zrecipients")
def main(argv: Argv) -> int:
    recipients(b"zrecipients", b"Recipients", b"recipient", lambda one: one.recipient)
    return 0
