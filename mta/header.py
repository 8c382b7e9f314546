"""The header of a message: fields, told apart, found, folded (RFC 5322, section 2.2).

A field is its whole text: name, colon, value, the continuation lines that begin with a blank
or a tab, and a line end.  A name is made of printable characters; blanks may stand between it
and the colon.  The header ends at the first line that is neither a field nor a continuation:
an empty line usually, and that one is the body's first.
"""

from __future__ import annotations

from supervise.errors import Permanent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.fd import Reader

LONGEST = 8 << 20  # bytes of a header
WIDTH = 80  # bytes of a line, without its end, that we do not fold
BLANKS = b" \t\r\n"
NAME = bytes(range(33, 127))


def name_of(field: bytes) -> bytes | None:
    """The field's name in small letters; None when *field* does not begin as a field does."""
    name, colon, _ = field.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not name or name.translate(None, NAME):
        return None
    return name.lower()


def value_of(field: bytes) -> bytes:
    """The field's value, with its line ends, from the first byte that is no white space."""
    return field.partition(b":")[2].lstrip(BLANKS)


def find(fields: Iterable[bytes], name: bytes) -> bytes | None:
    """The first of *fields* that is called *name* (in small letters), or None."""
    return next((field for field in fields if name_of(field) == name), None)


def split(reader: Reader, longest: int = LONGEST, mbox: bool = True) -> tuple[list[bytes], bytes]:
    """Read a header.

    A last line without an end gets one.

    Args:
        reader: the message; what it has after this belongs to the body.
        longest: bytes of a header that are read, at most.
        mbox: a `From ` line, which an mbox has, becomes the field `MBOX-Line`; else it ends the header.

    Returns:
        The fields, and what the body begins with: the empty line, which is put in when the body
        begins with a line of its own; nothing when the message has no body.

    Raises:
        Permanent: the header is longer than that.
    """
    fields: list[list[bytes]] = []
    size = 0
    while line := reader.line(longest + 1):  # a piece of a longer line is already too long
        if line == b"\n":
            return whole(fields), line
        if mbox and line.startswith(b"From "):
            line = b"MBOX-Line: " + line
        more = fields and line[0] in b" \t"
        if not more and name_of(line) is None:
            return whole(fields), b"\n" + line
        size += len(line)
        if size > longest:
            raise Permanent(b"header is longer than %d bytes" % longest)
        if more:
            fields[-1].append(line)
        else:
            fields.append([line])
    return whole(fields), b""


def whole(fields: list[list[bytes]]) -> list[bytes]:
    """Fields from their lines."""
    found = [b"".join(lines) for lines in fields]
    if found and not found[-1].endswith(b"\n"):
        found[-1] += b"\n"
    return found


def fold(pieces: list[bytes], width: int = WIDTH) -> bytes:
    """A field made of *pieces*, with its line end.

    A piece that would make its line longer than *width* begins another one.
    """
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 2 + len(piece) <= width:  # as the original, which counts the fold that it leaves out
            lines[-1] += piece
        else:
            lines.append(b" " + piece)
    return b"\n".join(lines) + b"\n"
