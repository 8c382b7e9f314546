"""delcr - take away the carriage return before each line feed

Usage: delcr

delcr copies descriptor 0 to descriptor 1 and takes one carriage return from the end of
each line, if there is one.  A last line without a line feed stays as it is.  What addcr
has written comes out as it was.  Lines may be of any length and hold any bytes.

Exit status:
    0    all has been copied
    111  reading or writing failed; nothing is said

See also: addcr, fixcr
"""

from supervise.command import Argv, command
from ucspi.filter.carriage import DeleteCr
from ucspi.filter.copying import copy


@command(b"delcr")
def main(argv: Argv) -> int:
    change = DeleteCr()
    return copy(change, lambda: change.held)
