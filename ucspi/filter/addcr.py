"""addcr - put a carriage return before each line feed

Usage: addcr

addcr copies descriptor 0 to descriptor 1 and puts a carriage return at the end of each
line, also where there is one already.  A last line without a line feed stays as it is.
Lines may be of any length and hold any bytes.

Exit status:
    0    all has been copied
    111  reading or writing failed; nothing is said

See also: delcr, fixcr, fixcrio
"""

from supervise.command import Argv, command
from ucspi.filter.carriage import add_cr
from ucspi.filter.copying import copy


@command(b"addcr")
def main(argv: Argv) -> int:
    return copy(add_cr)
