"""printmaillist - print the members of a binary mailing list

Usage: printmaillist

printmaillist reads a binary mailing list from descriptor 0 and prints its members, one on each line, as
setmaillist reads them.

Exit status:
    0    printed
    100  this is no binary mailing list
    111  it cannot be read, or nobody takes what is printed

See also: fastforward, newinclude, printforward, setmaillist
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Permanent, Temporary
from supervise.fd import chunks, write_all
from tools.fastforward.maillist import FIRST, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@command(b"printmaillist")
def main(argv: Argv) -> int:
    for text in lines():
        try:
            write_all(1, text)
        except OSError as error:
            raise Temporary(b"unable to write output", error) from None
    return 0


def lines() -> Iterator[bytes]:
    """The lines of the members, in pieces as the list comes in."""
    rest = b""
    try:
        for data in chunks(0):
            found = members(rest + data)
            rest = (rest + data).rpartition(b"\0")[2]
            if not all(member.startswith(FIRST) and b"\n" not in member for member in found):
                raise Permanent(b"bad mailing list format")
            yield b"".join(member + b"\n" for member in found)
    except OSError as error:
        raise Temporary(b"unable to read input", error) from None
    if rest:
        raise Permanent(b"bad mailing list format")
