"""Messages as they wait in a Maildir: who sent them, and where they go, stands in their first two lines.

    Return-Path: <SENDER>
    Delivered-To: PREFIXRECIPIENT

qmail-local writes both; PREFIX is what virtualdomains has put in front.  The rest is the message.
"""

from __future__ import annotations

import os

from mta.smtp.path import unquoted
from supervise.errors import PRINTABLE, Temporary
from supervise.fd import CHUNK, Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1 << 20  # bytes of one of the lines
SENDER, RECIPIENT = b"Return-Path: <", b"Delivered-To: "


class Waiting:
    """A message: its *sender* and *recipient*, plain, and what the open file still has."""

    def __init__(self, sender: bytes, recipient: bytes, reader: Reader) -> None:
        self.sender, self.recipient, self.reader = sender, recipient, reader

    def pieces(self) -> Iterator[bytes]:
        """The message, in pieces.

        Raises:
            OSError: it cannot be read.
        """
        reader = self.reader
        while reader.buffer or reader.fill():
            yield reader.take(len(reader.buffer))

    def size(self) -> int:
        """The bytes that the message still has."""
        here = os.lseek(self.reader.fd, 0, os.SEEK_CUR)
        return os.fstat(self.reader.fd).st_size - here + len(self.reader.buffer)


def read(fd: int, prefix: bytes) -> Waiting | None:
    """The message in the file *fd*; None: it is none, or is not for those whose addresses begin with *prefix*.

    Raises:
        OSError: it cannot be read.
    """
    reader = Reader(fd)
    first, second = (reader.line(LONGEST) or b"" for _ in range(2))
    if not (first.startswith(SENDER) and first.endswith(b">\n")):
        return None
    if not names_recipient(second, prefix) or b"\0" in first + second:
        return None
    # qmail-local quotes the sender; unquoted ends at a byte that no address has.
    return Waiting(unquoted(first[len(SENDER) : -2], -1), second[len(RECIPIENT + prefix) : -1], reader)


def is_for(fd: int, prefix: bytes) -> bool:
    """Whether the second line of the file *fd* names a recipient that begins with *prefix*.

    Raises:
        OSError: it cannot be read.
    """
    reader = Reader(fd)
    reader.line(LONGEST)
    return names_recipient(reader.line(LONGEST) or b"", prefix)


def names_recipient(line: bytes, prefix: bytes) -> bool:
    return line.startswith(RECIPIENT + prefix) and line.endswith(b"\n")


def names() -> Iterator[bytes]:
    """The names on descriptor 0, each with a NUL behind it.

    Raises:
        Temporary: they cannot be read.
    """
    reader = Reader(0)
    while True:
        try:
            name = reader.line(CHUNK, end=b"\0")
        except OSError as error:
            raise Temporary(b"unable to read input", error) from None
        if name is None or not name.endswith(b"\0"):
            return
        yield name[:-1]


def opened(name: bytes) -> int:
    """A descriptor of the file *name*.

    Raises:
        Temporary: it cannot be read now.
    """
    try:
        return open_file(name)
    except OSError as error:
        raise Temporary(b"unable to open " + name.translate(PRINTABLE), error) from None


def open_file(name: bytes) -> int:
    """A descriptor of the file *name*; a pipe without a writer is an empty one.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
