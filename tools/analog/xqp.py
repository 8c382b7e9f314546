"""xqp - pick the lines about one message out of what matchup has written

Usage: xqp qp < results

xqp copies the lines of deliveries and messages whose long-term queue identifier is qp.

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written
    100  wrong usage

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.analog.chosen import put_chosen


@command(b"xqp", b"qp")
def main(argv: Argv) -> int:
    if len(argv) != 2:
        raise Usage
    put_chosen(argv[1], delivery=8, message=8)
    return 0
