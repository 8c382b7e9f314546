"""The messages in the queue as qmhandle shows them.

qmail-send may be at work meanwhile: what has gone between two looks has nothing to tell.  We stand in the queue folder.
"""

from __future__ import annotations

import os

from mta import header
from mta.queue import envelope, layout
from mta.queue.qread import numbers_in
from mta.setup.adopt import held
from mta.setup.oldqueue import LARGEST, Broken, OldMessage
from supervise.fd import Reader, chunks, read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

SHOWN = (b"From", b"To", b"Cc", b"Subject", b"Date")
LONGEST = 1 << 20  # bytes of a line that are looked at together
PLACES = {
    b"mess": layout.mess,
    b"todo": layout.todo,
    b"info": layout.info,
    b"local": layout.local,
    b"remote": layout.remote,
}
# A message is deleted in this order: at each moment it is in a legal state, and one that is half gone is delivered to
# fewer recipients, or not at all.
ORDER = (layout.bounce, layout.local, layout.remote, layout.info, layout.todo, layout.intd, layout.mess)


class Listing:
    """Which messages there are: *all*, and those that have a file *todo*, *info*, *local*, *remote*, *bounce*."""

    def __init__(self) -> None:
        self.todo = numbers(b"todo")  # first, so that one that is just taken apart is in one of the others
        self.info, self.local, self.remote, self.bounce = map(numbers, (b"info", b"local", b"remote", b"bounce"))
        self.all = sorted(self.todo | self.info | self.local | self.remote)

    def counts(self) -> list[tuple[bytes, int]]:
        """What is counted, and the number."""
        known = {*self.all}
        return [
            (b"Total messages", len(known)),
            (b"Messages with local recipients", len(self.local)),
            (b"Messages with remote recipients", len(self.remote)),
            (b"Messages with bounces", len(self.bounce & known)),
            (b"Messages in preprocess", len(self.todo)),
        ]


def numbers(kind: bytes) -> set[int]:
    """The messages with a file of *kind*."""
    return {number for folder in layout.folders(kind) for number in numbers_in(folder)}


# -- reading -------------------------------------------------------------------------------------


class opened:
    """The file of *kind* of a message, for the block: its descriptor, or None when it is not there or no file."""

    def __init__(self, number: int, kind: bytes) -> None:
        self.number, self.kind = number, kind

    def __enter__(self) -> int | None:
        try:
            self.fd = OldMessage(self.number, {self.kind: PLACES[self.kind](self.number)}).open(self.kind)
        except Broken:
            self.fd = -1
            return None
        return self.fd

    def __exit__(self, *_: object) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def content(number: int, kind: bytes) -> bytes:
    """What the file of *kind* of a message holds; nothing when it is not there, or larger than any such file."""
    with opened(number, kind) as fd:
        return b"" if fd is None or os.fstat(fd).st_size > LARGEST else read_all(fd)


def sender(number: int) -> bytes | None:
    """The envelope sender; None of a message that is gone or damaged."""
    with opened(number, b"info") as fd:
        record = None if fd is None else Reader(fd).line(LONGEST, b"\0")
    if record and record.startswith(b"F") and record.endswith(b"\0"):
        return record[1:-1]
    try:
        return envelope.parse(content(number, b"todo"))[2]
    except ValueError:
        return None


def recipients(number: int) -> list[bytes]:
    """The recipients that wait."""
    records = (content(number, b"local") + content(number, b"remote") + content(number, b"todo")).split(b"\0")
    return [record[1:] for record in records if record.startswith(b"T")]


def lines(number: int, body: bool) -> Iterator[bytes]:
    """The lines of the header, or of the *body*, without their ends."""
    with opened(number, b"mess") as fd:
        if fd is None:
            return
        reader, inside = Reader(fd), False
        while (line := reader.line(LONGEST)) is not None:
            if not inside and not line.strip():
                if not body:
                    return
                inside = True
            elif inside == body:
                yield line.rstrip(b"\n")


def field(number: int, name: bytes) -> bytes:
    """The first line of the last field that is called *name* (in small letters)."""
    values = [line.partition(b":")[2].strip() for line in lines(number, body=False) if header.name_of(line) == name]
    return values[-1] if values else b""


def matching(number: int, pattern: re.Pattern[bytes], body: bool) -> bool:
    """Whether *pattern* is in a line of the header, or of the *body*."""
    return any(pattern.search(line) for line in lines(number, body))


def block(number: int, bold: bytes, plain: bytes) -> bytes:
    """What is shown of a message, with *bold* before each word and *plain* behind it; nothing of one that is gone."""
    from_, told = sender(number), {}
    for line in lines(number, body=False):
        name = (header.name_of(line) or b"").capitalize()
        if name in SHOWN:
            told[name] = line.partition(b":")[2].strip()
    try:
        size = os.lstat(layout.mess(number)).st_size
    except FileNotFoundError:
        return b""
    found = [(b"Return-path", from_ or b""), *((name, told[name]) for name in SHOWN if name in told)]
    found.append((b"Size", b"%d" % size))
    part = number % layout.SPLIT
    text = b"".join(b"  %s%s%s: %s\n" % (bold, name, plain, printable(value)) for name, value in found)
    return b"%d (%d, %d/%d)\n" % (number, part, part, number) + text


def text(number: int, terminal: bool) -> Iterator[bytes]:
    """The message in pieces, as it is; for a *terminal* without what that might obey."""
    with opened(number, b"mess") as fd:
        if fd is None:
            return
        if not terminal:
            yield from chunks(fd)
            return
        reader = Reader(fd)
        while (line := reader.line(LONGEST)) is not None:
            yield printable(line.rstrip(b"\n").expandtabs()) + line[len(line.rstrip(b"\n")) :]


def printable(value: bytes) -> bytes:
    """*value* with a question mark for each character that a terminal might not show, or might obey."""
    found = value.decode("utf-8", "replace")
    return "".join(each if each.isprintable() and each != "\ufffd" else "?" for each in found).encode()


# -- changing ------------------------------------------------------------------------------------


def delete(number: int) -> None:
    """Remove all files of a message; no link leads elsewhere."""
    for place in ORDER:
        folder, name = os.path.split(place(number))
        with held(folder) as parent:
            try:
                os.unlink(parent + b"/" + name)
            except FileNotFoundError:
                pass


def rejuvenate(number: int) -> None:
    """Let a message have been born now."""
    folder, name = os.path.split(layout.info(number))
    with held(folder) as parent:
        fd = os.open(parent + b"/" + name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.utime(fd)
        finally:
            os.close(fd)
