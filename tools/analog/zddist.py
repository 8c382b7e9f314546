"""zddist - report how soon messages are delivered

Usage: zddist < results

zddist reads what matchup has written and tells within how many seconds of their arrival 10, 20, ... 100 percent
of the successful deliveries were done, and the average delay of these.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from itertools import accumulate

from supervise.command import Argv, command
from tools.analog.report import publish
from tools.analog.results import deliveries

ABOUT = b"""Each line is about the fastest pct% of the successful deliveries:
* doneby: seconds (ddelay) within which they were done.
* avg: their average ddelay.
"""


@command(b"zddist")
def main(argv: Argv) -> int:
    delays = sorted(one.ddelay for one in deliveries(b"zddist") if one.result == b"k")
    sums = list(accumulate(delays))
    rows = []
    for percent in range(10, 101, 10) if delays else ():
        count = -(-len(delays) * percent // 100)
        rows.append((b"%.2f" % delays[count - 1], b"%.2f" % (sums[count - 1] / count), b"%d" % percent))
    publish(b"Distribution of ddelays for successful deliveries", ABOUT, b"doneby avg pct", rows)
    return 0
