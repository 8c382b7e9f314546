"""mconnect-io - be the two hands of mconnect

Usage: mconnect-io

mconnect-io copies descriptor 0 to descriptor 7 and puts a carriage return before each line
feed; meanwhile it copies descriptor 6 to descriptor 1, as it is.  It ends when nothing more can come
on descriptor 6 or nobody takes it on descriptor 1; the end of descriptor 0 does not end it.

Exit status:
    0    always

See also: mconnect, tcpclient
"""

import signal

from supervise.command import Argv, command
from ucspi.descriptors import READING, WRITING
from ucspi.filter.carriage import add_cr
from ucspi.filter.streams import Stream, pass_on


@command(b"mconnect-io")
def main(argv: Argv) -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    pass_on(Stream(0, WRITING, add_cr), Stream(READING, 1, bytes))
    return 0
