"""tai64n - put the moment in front of each line

Usage: tai64n

tai64n copies descriptor 0 to descriptor 1 and puts a TAI64N label and a blank in front
of each line. The label is the moment when the line's beginning was read. It sorts as it
reads, down to the nanosecond, and knows no time zone; tai64nlocal makes a date of it.

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written

See also: tai64nlocal, multilog
"""

from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.log.pipe import Pipe
from supervise.stamp import label


@command(b"tai64n")
def main(argv: Argv) -> int:
    pipe = Pipe()
    inside = False
    while text := read(pipe):
        stamp = label() + b" "
        stamped = text[:-1].replace(b"\n", b"\n" + stamp) + text[-1:]
        write(stamped if inside else stamp + stamped)
        inside = not text.endswith(b"\n")
    return 0


def read(pipe: Pipe) -> bytes:
    """What can be read now; nothing at the end of input."""
    try:
        return pipe.read()
    except OSError as error:
        raise Temporary(b"unable to read input", error) from None


def write(text: bytes) -> None:
    """Write all of *text*."""
    try:
        write_all(1, text)
    except OSError as error:
        raise Temporary(b"unable to write output", error) from None
