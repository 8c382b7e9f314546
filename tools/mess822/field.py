"""822field - print the value of a header field in a mail message

Usage: 822field [ name ]

822field reads a message from descriptor 0 and prints what each of its fields called name says, a line for each:

    822field list-id < message

A field that goes over several lines becomes one; what stands behind the colon, blanks included, is printed as it is.
Without name it is Subject. Upper and lower case do not differ.

Exit status:
    0    there is such a field
    100  there is none
    111  trouble reading or writing

See also: 822header, 822date
"""

from supervise.command import Argv, command
from supervise.errors import PERMANENT
from supervise.fd import write_all
from tools.mess822.reading import header, values


@command(b"822field", b"[ name ]")
def main(argv: Argv) -> int:
    name = argv[1] if len(argv) > 1 else b"subject"
    found = values(header()[0], name.lower())
    write_all(1, b"".join(value + b"\n" for value in found))
    return 0 if found else PERMANENT
