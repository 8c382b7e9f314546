"""printforward - print the instructions of a forwarding database

Usage: printforward

printforward reads a forwarding database from descriptor 0 and prints its instructions as setforward reads them,
in the order in which they were given.

Exit status:
    0    printed
    100  this is no forwarding database
    111  it cannot be read, or nobody takes what is printed

See also: fastforward, newaliases, printmaillist, setforward
"""

from __future__ import annotations

from supervise.command import Argv, command, say
from supervise.errors import Permanent, Temporary, Trouble
from supervise.fd import CHUNK, read_all, write_all
from tools.fastforward.instructions import print_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 2048  # bytes of a cdb before its records
LENGTHS = 8  # bytes in front of a record: the lengths of its key and its data


@command(b"printforward")
def main(argv: Argv) -> int:
    try:
        show(instructions(read()))
    except Trouble as trouble:  # as the original, which has forgotten its name
        say(b"printmaillist: fatal: " + trouble.line)
        return trouble.code
    return 0


def read() -> bytes:
    """What descriptor 0 has."""
    try:
        return read_all(0)
    except OSError as error:
        raise Temporary(b"unable to read input", error) from None


def instructions(content: bytes) -> Iterator[bytes]:
    """The instructions of the cdb with this *content*.

    Raises:
        Permanent: it is none, or a record is no instruction.
    """
    end, at = number(content, 0), HEADER
    while at < end:
        key = at + LENGTHS
        data = key + number(content, at)
        at = data + number(content, at + 4)
        if at > min(end, len(content)):
            raise bad()
        try:
            yield print_record(content[key:data], content[data:at])
        except ValueError:
            raise bad() from None
    if end < HEADER or len(content) < HEADER:  # a file of zeros is none either
        raise bad()


def number(content: bytes, at: int) -> int:
    """The number at a position; 0 behind the end."""
    return int.from_bytes(content[at : at + 4], "little")


def bad() -> Permanent:
    return Permanent(b"bad database format")


def show(parts: Iterator[bytes]) -> None:
    """Print *parts*."""
    text = b""
    try:
        for part in parts:
            text += part
            if len(text) >= CHUNK:
                write_all(1, text)
                text = b""
        write_all(1, text)
    except OSError as error:
        raise Temporary(b"unable to write output", error) from None
