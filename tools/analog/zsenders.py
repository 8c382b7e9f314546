"""zsenders - report who sends mail

Usage: zsenders < results

zsenders reads what matchup has written and adds up messages and delivery attempts by sender: messages, bytes,
recipients, attempts, and how long they took. Who took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import senders


@command(b"zsenders")
def main(argv: Argv) -> int:
    senders(b"zsenders", b"Senders", b"sender", lambda one: one.sender)
    return 0
