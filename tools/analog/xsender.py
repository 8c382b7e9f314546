"""xsender - pick the lines about one sender out of what matchup has written

Usage: xsender address < results

xsender copies the lines of deliveries and messages whose sender is address, which is empty for bounces and without
angle brackets. matchup has put addresses in lower case.

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written
    100  wrong usage

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.analog.chosen import put_chosen


@command(b"xsender", b"address")
def main(argv: Argv) -> int:
    if len(argv) != 2:
        raise Usage
    put_chosen(b"<%b>" % argv[1], delivery=6, message=7)
    return 0
