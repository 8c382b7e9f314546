"""Binary mailing lists: who is on a list, in a file that is read whole or not at all.

As text, a member on each line: `&address`, or an address alone, or `./file` or `/file` for those on another
list.  Blanks and tabs at the end of a line do not count, nor do empty lines and lines that begin with `#`.
The file has each member with `&` in front of an address and a NUL after it.  Everybody may read it.
"""

from __future__ import annotations

import os

from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.files import announced
from tools.fastforward.recipients import LONGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST = b"&", b".", b"/"  # what members begin with
LISTS = FIRST[1:]
TOO_LONG = b"addresses must be under %d bytes" % LONGEST


def compile(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The members whom *lines* name.

    Raises:
        Temporary: a line is wrong.
    """
    for line in lines:
        if b"\0" in line:
            raise Temporary(b"NUL in input")
        line = line.rstrip(b" \t\n")
        if not line or line.startswith(b"#"):
            continue
        if len(line) > LONGEST and not line.startswith(LISTS):
            raise Temporary(TOO_LONG)
        yield line if line.startswith(FIRST) else FIRST[0] + line


def write(name: bytes, draft: bytes, members: Iterable[bytes]) -> None:
    """Make the list *name*, by way of *draft*: the whole new file, or what was there before.

    Raises:
        OSError: as for `supervise.files.obstacle`.
    """
    os.umask(0o33)
    with announced(name, draft) as fd:
        write_all(fd, b"".join(member + b"\0" for member in members))


def members(content: bytes) -> list[bytes]:
    """The members in a list's *content*; what lacks its NUL is none."""
    return content.split(b"\0")[:-1]


def file(name: bytes) -> bytes:
    """The list in the file *name* as a member of another one, which is told by its first byte."""
    return name if name.startswith(LISTS) else b"./" + name
