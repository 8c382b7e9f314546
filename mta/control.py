"""Control files: a value, a number, a list of lines, each with its default.

A value is the first line without its trailing blanks and tabs.  A list drops trailing
blanks, empty lines and comments, lines that begin with `#`.  A file that is not there
gives the default; one that cannot be read is a temporary error, never a default, so a
full machine does not turn a policy off.
"""

from __future__ import annotations

import os

from mta.home import path
from supervise.errors import Temporary
from supervise.files import slurp

BLANKS = b" \t\n"
MOST_DIGITS = 20


def leading_number(text: bytes, default: int = 0) -> int:
    """The decimal digits that *text* begins with, as a number; *default* when it begins with none.

    Of a number that no machine can count to, only the first digits count: the interpreter reads no more than 4300.
    """
    digits = len(text) - len(text.lstrip(b"0123456789"))
    return int(text[:digits].lstrip(b"0")[:MOST_DIGITS] or b"0") if digits else default


class Control:
    """The folder of the control files.

    Args:
        names: the files that are there, for who has looked already; None looks for each.
    """

    __slots__ = ("names",)

    def __init__(self, names: frozenset[bytes] | None = None) -> None:
        self.names = names

    def read(self, name: bytes) -> bytes | None:
        """The content of `control/NAME`, or None when there is no such file.

        Raises:
            Temporary: it cannot be read.
        """
        if self.names is not None and name not in self.names:
            return None
        try:
            return slurp(path(b"control", name))
        except OSError as error:
            raise Temporary(b"unable to read control/" + name, error) from None

    def value(self, name: bytes) -> bytes | None:
        """The one-line control file *name*, or None when there is no such file."""
        content = self.read(name)
        return None if content is None else content.split(b"\n", 1)[0].rstrip(BLANKS)

    def value_or_me(self, name: bytes) -> bytes | None:
        """The one-line control file *name*, else `me`, else None."""
        found = self.value(name)
        return self.value(b"me") if found is None else found

    def number(self, name: bytes, default: int) -> int:
        """The number that begins `control/NAME`; *default* when there is no such file or no digit in front."""
        text = self.value(name)
        return default if text is None else leading_number(text, default)

    def lines(self, name: bytes) -> list[bytes] | None:
        """The lines of `control/NAME` without blanks at their ends and without comments, or None."""
        content = self.read(name)
        if content is None:
            return None
        return significant(content)


def significant(content: bytes) -> list[bytes]:
    """The lines of a list with this *content*, without blanks at their ends and without comments."""
    return [line for _, line in numbered(content)]


def numbered(content: bytes) -> list[tuple[int, bytes]]:
    """The same lines, each with its number in the file, which counts from 1."""
    found = ((number, line.rstrip(BLANKS)) for number, line in enumerate(content.split(b"\n"), 1))
    return [(number, line) for number, line in found if line and not line.startswith(b"#")]


def listed() -> Control:
    """The control files for who reads many of them at once, most of which are seldom there."""
    try:
        return Control(frozenset(os.listdir(path(b"control"))))
    except OSError:  # there is none, or who may open the files may not list them
        return Control()


EACH = Control()
read, value, value_or_me, number, lines = EACH.read, EACH.value, EACH.value_or_me, EACH.number, EACH.lines
