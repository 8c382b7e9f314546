"""zsendmail - show the log as sendmail would have written it

Usage: zsendmail < results

zsendmail reads what matchup has written and makes of each delivery and of each message that has left the queue a line
like those of sendmail:

    1764000000.123456789 qp 4711: to=remote.joe@host, uid=1001, ddelay=0.250000, xdelay=0.200000, stat=Sent (reason)
    1764000000.234567890 qp 4711: from=<sue@host>, uid=1001, size=530, nrcpts=1, deferrals=0, qtime=0.361111

stat is Sent, Failed or Deferred. Other lines are copied.

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from __future__ import annotations

from supervise.command import Argv, command
from tools.analog.lines import put
from tools.analog.results import Delivery, Message, all_results

WORDS = {b"k": b"Sent", b"d": b"Failed", b"z": b"Deferred"}


@command(b"zsendmail")
def main(argv: Argv) -> int:
    put(translated(result) for result in all_results(b"zsendmail"))
    return 0


def translated(one: Delivery | Message | bytes) -> bytes:
    """The line for *one*."""
    if isinstance(one, Delivery):
        about = one.moment, one.qp, one.recipient, one.uid, one.ddelay, one.xdelay, WORDS[one.result], one.reason
        return b"%b qp %b: to=%b, uid=%b, ddelay=%.6f, xdelay=%.6f, stat=%b (%b)" % about
    if isinstance(one, Message):
        counts = one.size, one.recipients, one.deferrals, one.qtime
        line = b"%b qp %b: from=%b, uid=%b, size=%d, nrcpts=%d, deferrals=%d, qtime=%.6f"
        return line % (one.moment, one.qp, one.sender, one.uid, *counts)
    return one
