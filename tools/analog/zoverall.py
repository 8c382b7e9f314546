"""zoverall - report basic statistics

Usage: zoverall < results

zoverall reads what matchup has written and reports how many messages, recipients and delivery attempts there were,
how long they took, and how busy qmail-send was.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zddist, zdeferrals, zfailures, zsuccesses, zrecipients, zrhosts, zrxdelay, zsenders, zsuids
"""

from __future__ import annotations

from math import inf

from supervise.command import Argv, command
from supervise.log.tai64n import write
from tools.analog.results import Delivery, results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.analog.results import Message

DAY = 86400  # seconds
ABOUT = b"""Basic statistics

* qtime: seconds that a message was in the queue.
* ddelay: seconds from the arrival of a message to the end of a successful delivery.
* xdelay: seconds that a delivery attempt took.
* The average concurrency is all xdelay over the time span, which begins with the first attempt and ends with
  the last: how many deliveries ran at a time.

"""


@command(b"zoverall")
def main(argv: Argv) -> int:
    overall = Overall()
    for result in results(b"zoverall"):
        if isinstance(result, Delivery):
            overall.add_delivery(result)
        else:
            overall.add_message(result)
    write(ABOUT + overall.text())
    return 0


class Overall:
    """Sums of everything; `first` and `last` are when the first attempt began and the last one ended."""

    def __init__(self) -> None:
        self.messages = self.recipients = self.tries = self.bytes = self.rbytes = 0
        self.qtime = self.ddelay = self.xdelay = 0.0
        self.ended = {b"k": 0, b"d": 0, b"z": 0}
        self.first, self.last = inf, -inf

    def add_delivery(self, one: Delivery) -> None:
        self.ended[one.result] = self.ended.get(one.result, 0) + 1
        self.ddelay += one.ddelay if one.result == b"k" else 0
        self.xdelay += one.xdelay
        self.first, self.last = min(self.first, one.start), max(self.last, one.done)

    def add_message(self, one: Message) -> None:
        self.messages += 1
        self.recipients += one.recipients
        self.tries += one.tries
        self.bytes += one.size
        self.rbytes += one.size * one.successes
        self.qtime += one.qtime

    def text(self) -> bytes:
        """The lines of the report; averages of nothing are left out."""
        lines = [b"Completed messages: %d" % self.messages]
        if self.messages:
            lines += [
                b"Recipients for completed messages: %d" % self.recipients,
                b"Total delivery attempts for completed messages: %d" % self.tries,
                b"Average delivery attempts per completed message: %.6g" % (self.tries / self.messages),
                b"Bytes in completed messages: %d" % self.bytes,
                b"Bytes weighted by success: %d" % self.rbytes,
                b"Average message qtime (s): %.6g" % (self.qtime / self.messages),
            ]
        tries, span = sum(self.ended.values()), self.last - self.first
        lines += [b"", b"Total delivery attempts: %d" % tries]
        if tries:
            successes, failures, deferrals = (self.ended[result] for result in (b"k", b"d", b"z"))
            lines += [b"  success: %d" % successes, b"  failure: %d" % failures, b"  deferral: %d" % deferrals]
            lines.append(b"Total ddelay (s): %.6f" % self.ddelay)
            if successes:
                lines.append(b"Average ddelay per success (s): %.6f" % (self.ddelay / successes))
            lines += [
                b"Total xdelay (s): %.6f" % self.xdelay,
                b"Average xdelay per delivery attempt (s): %.6f" % (self.xdelay / tries),
            ]
        if span > 0:
            lines.append(b"Time span (days): %.6g" % (span / DAY))
            lines.append(b"Average concurrency: %.6g" % (self.xdelay / span))
        return b"".join(line + b"\n" for line in lines)
