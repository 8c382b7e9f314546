"""fixcr - put a carriage return before each line feed that has none

Usage: fixcr

fixcr copies descriptor 0 to descriptor 1 and puts a carriage return at the end of each
line that has none there.  A last line without a line feed stays as it is.  Lines may be
of any length and hold any bytes.

Exit status:
    0    all has been copied
    111  reading or writing failed; nothing is said

See also: addcr, delcr, fixcrio
"""

from supervise.command import Argv, command
from ucspi.filter.carriage import FixCr
from ucspi.filter.copying import copy


@command(b"fixcr")
def main(argv: Argv) -> int:
    return copy(FixCr())
