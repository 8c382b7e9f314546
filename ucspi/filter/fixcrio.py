"""fixcrio - put missing carriage returns into what a program reads and writes

Usage: fixcrio program [arguments]

fixcrio runs program and puts a carriage return at the end of each line that it reads from
descriptor 0 or writes to descriptor 1, where there is none.  So a client that ends its
lines with bare line feeds can speak with a server that refuses them.

fixcrio is a child of program then, and ends with the output of program.

Exit status:
    111  program cannot be run
    100  wrong usage
    otherwise that of program

See also: addcr, fixcr, recordio, tcpserver
"""

from supervise.command import Argv, command
from supervise.errors import Usage
from ucspi.filter.between import FROM_PROGRAM, TO_PROGRAM, run_between
from ucspi.filter.carriage import FixCr
from ucspi.filter.streams import Stream


@command(b"fixcrio", b"program [ arg ... ]")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    run_between(argv[1:], lambda: (Stream(0, TO_PROGRAM, FixCr()), Stream(FROM_PROGRAM, 1, FixCr())))
