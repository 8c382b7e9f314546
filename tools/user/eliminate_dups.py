"""eliminate-dups - take a message once, however often it comes

Usage: eliminate-dups [ --strict ] [ --no-purge ] [ --no-check ] [ --dump ] [ file ]

eliminate-dups reads a message from descriptor 0 and ends the .qmail file when the same message has come before, by
another way or to another address of the user:

    | eliminate-dups
    ./Maildir/

Messages are the same when Date, From, To, Cc, Subject and Message-ID are; without Message-ID, when the body is the same
too. What has come is kept in file, by default .maildups in the home, for a week. A file of another form, such as the
original's, stays as it is; a file with `.known` behind its name is begun in its place, which is said. A message that is
tried again, because a line that follows failed, is no duplicate: its whole header is that of the last time, and it is
for the same recipient.

Options:
    --strict    the body must be the same too
    --no-purge  forget nothing
    --no-check  read no message, only forget what is old
    --dump      print what has come: when, and the fingerprints of the copy and of the message

Exit status:
    0    new, or tried again
    99   a duplicate: the lines that follow do not count
    111  trouble, or wrong usage

Environment:
    HOME       where .maildups is
    RECIPIENT  whom this copy is for

Files:
    ~/.maildups  SECONDS COPY MESSAGE, a line for each message

See also: qmail-local, vacation
"""

from __future__ import annotations

import os
import time

from mta.header import name_of, split
from supervise.command import Argv, command
from supervise.errors import TEMPORARY, Permanent, Temporary, Usage
from supervise.fd import Reader, chunks, write_all
from supervise.options import anywhere
from tools.user.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DUPLICATE = 99
NUMBER = b"message-id"
WEEK = 7 * 86400
FIELDS = (b"date", b"from", b"to", b"cc", b"subject", NUMBER)
WORDS = {b"strict": b"s", b"no-purge": b"p", b"no-check": b"c", b"dump": b"d"}


@command(b"eliminate-dups", b"[ --strict ] [ --no-purge ] [ --no-check ] [ --dump ] [ file ]", usage_code=TEMPORARY)
def main(argv: Argv) -> int:
    chosen, files = anywhere(argv, b"", WORDS)
    wishes = {letter for letter, _ in chosen}
    if len(files) > 1:
        raise Usage
    with Memory(b"eliminate-dups", files[0] if files else default(), None if b"p" in wishes else WEEK) as memory:
        if b"d" in wishes:
            dump(memory)
        elif b"c" in wishes:
            memory.write()
        else:
            return check(memory, b"s" in wishes)
    return 0


def default() -> bytes:
    """The file in the user's home."""
    home = os.environb.get(b"HOME")
    if home is None:
        raise Temporary(b"HOME not set")
    return home + b"/.maildups"


def check(memory: Memory, strict: bool) -> int:
    """The exit code for the message on descriptor 0, which is remembered."""
    try:
        message, copy = fingerprints(strict)
    except Permanent:  # a header too long to be looked at
        return 0
    except OSError as error:
        raise Temporary(b"unable to read message", error) from None
    if not message:
        return 0
    known = memory.word(message)
    if known is None:
        memory.remember(message, copy)
    return 0 if known in (None, copy) else DUPLICATE


def fingerprints(strict: bool) -> tuple[bytes, bytes]:
    """What tells the message on descriptor 0 from others, and this copy of it from others.

    The first is empty when the message has none of the fields by which it could be told.

    Raises:
        OSError: it cannot be read.
        Permanent: its header is too long.
    """
    from hashlib import sha256  # 3 ms

    reader = Reader(0)
    fields, beginning = split(reader)
    told = [wanted + b":" + b" ".join(value) + b"\n" for wanted in FIELDS for value in values(fields, wanted)]
    message = sha256(b"".join(told))
    if strict or not any(values(fields, NUMBER)):
        for data in body(beginning, reader):
            message.update(data)
    copy = sha256(os.environb.get(b"RECIPIENT", b"") + b"\0" + b"".join(fields))
    return message.hexdigest().encode() if told else b"", copy.hexdigest().encode()


def values(fields: list[bytes], name: bytes) -> Iterator[list[bytes]]:
    """The words of each of the *fields* that is called *name*."""
    for field in fields:
        if name_of(field) == name:
            yield field.partition(b":")[2].split()


def body(beginning: bytes, reader: Reader) -> Iterator[bytes]:
    """The body in pieces."""
    yield beginning
    yield reader.take(len(reader.buffer))
    yield from chunks(reader.fd)


def dump(memory: Memory) -> None:
    """Print what is remembered."""
    for key, (moment, word) in memory.known.items():
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)).encode()
        write_all(1, b"%b %b %b\n" % (date, word, key))
