"""zrxdelay - report the best order of recipients for a mailing list

Usage: zrxdelay < results

zrxdelay reads what matchup has written and lists recipients by the average time that a delivery attempt to them
takes, the fastest first. A mailing list in this order keeps few deliveries waiting for slow hosts.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zrecipients
"""

from supervise.command import Argv, command
from tools.analog.report import by_recipient, publish

ABOUT = b"""Each line is about one recipient, the fastest first:
* avg: average xdelay, in seconds.
* tries: delivery attempts that this is the average of.
"""


@command(b"zrxdelay")
def main(argv: Argv) -> int:
    sums = by_recipient(b"zrxdelay", lambda one: one.recipient)
    order = sorted((xdelay / tries, tries, who) for who, (_, _, tries, xdelay) in sums.items())
    rows = [(b"%.2f" % average, b"%d" % tries, who) for average, tries, who in order]
    publish(b"Recipients in the best order for mailing lists", ABOUT, b"avg tries recipient", rows)
    return 0
