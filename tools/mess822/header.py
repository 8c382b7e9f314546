"""822header - print the header of a mail message

Usage: 822header

822header reads a message from descriptor 0 and prints its header, without the empty line behind it.

The header ends at an empty line, at the first line that can be no part of a header, or with the message. The
`From ` line that an mbox has in front of a message can be none.

Exit status:
    0    done
    111  trouble reading or writing

See also: 822field, 822print
"""

from supervise.command import Argv, command
from supervise.fd import write_all
from tools.mess822.reading import header


@command(b"822header")
def main(argv: Argv) -> int:
    write_all(1, b"".join(header()[0]))
    return 0
