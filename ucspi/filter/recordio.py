"""recordio - record on descriptor 2 what a program reads and writes

Usage: recordio program [arguments]

recordio runs program, passes on what it reads from descriptor 0 and writes to descriptor 1,
and shows it on descriptor 2:

    2012 < MAIL FROM:<joe@example.org>
    2012 > 250 ok
    2012 > [EOF]

The number is the process of program; < is what it reads, > is what it writes.  A line that
was complete has a blank at its end; + says that it goes on in another line, since it came in
pieces or is longer than 256 bytes; [EOF] is the end.  Each line is written at once, so
the lines of several programs do not mix, and before the bytes are passed on.

recordio is a child of program then, and ends with the output of program.

Exit status:
    111  program cannot be run
    100  wrong usage
    otherwise that of program

See also: fixcrio, multilog, tcpserver
"""

import os

from supervise.command import Argv, command, say
from supervise.errors import Usage
from ucspi.filter.between import FROM_PROGRAM, TO_PROGRAM, run_between
from ucspi.filter.streams import Stream

LONGEST = 256  # bytes of one line


@command(b"recordio", b"program [ arg ... ]")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    reads, writes = Record(os.getpid(), b"<"), Record(os.getpid(), b">")
    run_between(
        argv[1:],
        lambda: (Stream(0, TO_PROGRAM, reads, reads.end), Stream(FROM_PROGRAM, 1, writes, writes.end)),
    )


class Record:
    """Called with one piece after the other: shows it, and returns it as it is.

    Args:
        pid: the process of the program.
        sign: the direction.
    """

    def __init__(self, pid: int, sign: bytes) -> None:
        self.prefix = b"%d %s " % (pid, sign)

    def __call__(self, data: bytes) -> bytes:
        for start in range(0, len(data), LONGEST):
            *lines, rest = data[start : start + LONGEST].split(b"\n")
            for line in lines:
                say(self.prefix + line + b" ")
            if rest:
                say(self.prefix + rest + b"+")
        return data

    def end(self) -> None:
        """Show that no more can come."""
        say(self.prefix + b"[EOF]")
