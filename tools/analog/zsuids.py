"""zsuids - report which users send mail

Usage: zsuids < results

zsuids reads what matchup has written and adds up messages and delivery attempts by the uid of who put the message into
the queue: messages, bytes, recipients, attempts, and how long they took. Who took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import senders


@command(b"zsuids")
def main(argv: Argv) -> int:
    senders(b"zsuids", b"Sender uids", b"uid", lambda one: one.uid)
    return 0
