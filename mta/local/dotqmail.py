"""The .qmail file: which one a delivery follows, and what it says.

For an address USER-EXT the file is `.qmail`, the dash and EXT in lower case with dots as
colons, below the user's home.  When there is none, `default` stands for more and more of
EXT, from its end, cut at a `-`:

    .qmail-a-b-c   .qmail-a-b-default   .qmail-a-default   .qmail-default

Its lines, without blanks and tabs at their ends, are done one after another:

    # words          nothing
    ./path /path     append to an mbox; a Maildir if the path ends with a slash
    |command         run it by sh
    &address         forward; the & may be left out before a letter or digit
    +list            from here on, nothing but forwarding
    (empty)          nothing, but an error in the first line

A NUL ends what a line means.  A file that its owner may execute holds nothing but addresses
to forward to; one that is empty stands for the default delivery.  A .qmail file or a home
that others may write is not followed: the mode bits of `control/patrn`, in octal, 022 by
default, must not be set.
"""

from __future__ import annotations

import os
import stat

from mta import control
from supervise.errors import Temporary, passing, reason
from supervise.fd import read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MBOX, MAILDIR, PROGRAM, FORWARD = b"mbox", b"maildir", b"program", b"forward"
MASK = 0o022
COLONS = bytes.maketrans(b".", b":")


class DotQmail:
    """A .qmail file: its *content*, whether it may *only forward*, what its `default` stood for (or None)."""

    __slots__ = ("content", "default", "only_forward")

    def __init__(self, content: bytes, only_forward: bool, default: bytes | None) -> None:
        self.content, self.only_forward, self.default = content, only_forward, default


def mask() -> int:
    """The mode bits that a home and a .qmail file must not have.

    Raises:
        Temporary: `control/patrn` cannot be read, or is no octal number.
    """
    text = control.value(b"patrn")
    if text is None:
        return MASK
    if not text or text.strip(b"01234567"):
        raise Temporary(b"control/patrn is no octal number: " + text)
    return int(text, 8)


def stem(dash: bytes, ext: bytes) -> bytes:
    """The name of the .qmail file for *ext*."""
    return b".qmail" + dash + ext.lower().translate(COLONS)


def find(dash: bytes, ext: bytes, mask: int, folder: bytes = b"") -> DotQmail | None:
    """The .qmail file for *ext* in *folder*, which ends with a slash, or else where we stand; None when there is none.

    Raises:
        Temporary: there is one that must not or cannot be read now.
    """
    for name, default in names(dash, ext):
        if found := read(folder + name, mask):
            found.default = default
            return found
    return None


def names(dash: bytes, ext: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """The names that the .qmail file for *ext* may have, and what `default` stands for then; the first one counts."""
    name = stem(dash, ext)
    exact = name[len(name) - len(ext) :].endswith(b"default")
    yield name, ext[-len(b"default") :] if exact else None
    for end in range(len(ext), -1, -1):
        if not end or ext[end - 1 : end] == b"-":
            yield name[: len(name) - len(ext) + end] + b"default", ext[end:]


def read(name: bytes, mask: int) -> DotQmail | None:
    """The .qmail file *name*, or None when no such file exists.

    Raises:
        Temporary: it must not or cannot be read now.
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if passing(error) or isinstance(error, PermissionError):
            raise unopened(name, error) from None
        return None
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            return None
        if mode & mask:
            raise Temporary(b"Uh-oh: .qmail file is writable. (#4.7.0)")
        return DotQmail(read_all(fd), bool(mode & stat.S_IXUSR), None)
    except OSError as error:
        raise unopened(name, error) from None
    finally:
        os.close(fd)


def exists(name: bytes) -> bool:
    """Whether there is a file *name*.

    Raises:
        Temporary: who knows.
    """
    try:
        os.stat(name)
    except OSError as error:
        if passing(error):
            raise unopened(name, error) from None
        return False
    return True


def unopened(name: bytes, error: OSError) -> Temporary:
    return Temporary(b"Unable to open %s: %s. (#4.3.0)" % (name, reason(error)))


def instructions(content: bytes, only_forward: bool) -> Iterator[tuple[bytes, bytes]]:
    """What the lines of *content* ask for, one after another: pairs of a kind and its object.

    Args:
        only_forward: the file may do nothing else.

    Raises:
        Temporary: when the line that is wrong is reached.
    """
    lines = content.split(b"\n")
    if not lines[-1] and len(lines) > 1:
        del lines[-1]
    for number, line in enumerate(lines):
        line = line.rstrip(b" \t")
        first = line[:1]
        if first in (b"", b"\0"):
            if not number:
                raise Temporary(b"Uh-oh: first line of .qmail file is blank. (#4.2.1)")
        elif first in (b".", b"/"):
            if only_forward:
                raise Temporary(b"Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)")
            yield MAILDIR if line.endswith(b"/") else MBOX, line
        elif first == b"|":
            if only_forward:
                raise Temporary(b"Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)")
            yield PROGRAM, line[1:]
        elif first == b"+":
            only_forward = only_forward or meaning(line) == b"+list"
        elif first != b"#":
            yield FORWARD, line.removeprefix(b"&")


def meaning(line: bytes) -> bytes:
    """*line* up to its first NUL."""
    return line.partition(b"\0")[0]
