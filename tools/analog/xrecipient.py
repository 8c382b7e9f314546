"""xrecipient - pick the lines about one recipient out of what matchup has written

Usage: xrecipient recipient < results

xrecipient copies the lines of deliveries to recipient: a channel, a dot and an address, as remote.joe@host. matchup has
put addresses in lower case.

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written
    100  wrong usage

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.analog.chosen import put_chosen


@command(b"xrecipient", b"recipient")
def main(argv: Argv) -> int:
    if len(argv) != 2:
        raise Usage
    put_chosen(argv[1], delivery=7)
    return 0
