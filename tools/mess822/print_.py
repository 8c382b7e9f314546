"""822print - print a mail message for reading

Usage: 822print

822print reads a message from descriptor 0 and prints it with its header in a form that is easier to read: subject, from
whom and when, then the way it has come, to whom, how to answer, and all other fields. The body follows as it is.

    822print < message | less

Names and what must not be overlooked are underlined, addresses are bold, as nroff does it, with backspaces; `less`
shows that. Bytes beyond ASCII in the header are printed as a backslash and their octal number. The date is also shown
in the zone of this machine.

Exit status:
    0    done
    111  trouble reading or writing

Environment:
    TZ  the zone of this machine

See also: 822field, 822header, 822received
"""

from __future__ import annotations

from mta.header import name_of
from supervise.command import Argv, command
from supervise.fd import Reader, copy, write_all
from tools.mess822.addresses import addresses, paired
from tools.mess822.dates import Date, parse
from tools.mess822.reading import header, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Cells = list[bytes]  # a letter in its style each

WIDTH = 78
LINE = b"-" * WIDTH + b"\n"
LONGEST_LEFT = 73  # cells of a line that has a left side only
LONGEST_BOTH = 76  # cells of both sides
LONGEST_SIDE = 50  # cells of a side that must be broken

ENVELOPE = (
    *(b"received", b"delivered-to", b"errors-to", b"resent-sender", b"resent-from", b"resent-reply-to"),
    *(b"resent-to", b"resent-cc", b"resent-bcc", b"resent-date", b"resent-message-id"),
)
WAY = (b"Return-Path", b"return ")
THREAD = (b"Ref", b"references"), (b"Message-ID", b"message-id")
READERS = (b"To", b"Cc", b"Bcc", b"Notice-Requested-Upon-Delivery-To")
ANSWERS = (
    (b"Sender", b"sender "),
    (b"Reply-To", b"reply to "),
    (b"Mail-Reply-To", b"reply to "),
    (b"Mail-Followup-To", b"follow up to "),
)
THREADING = b"in-reply-to"
KNOWN = (
    *(b"date", b"subject", b"from", b"return-path", b"references", b"message-id", b"apparently-to", THREADING),
    *(name.lower() for name in READERS),
    *(name.lower() for name, _ in ANSWERS),
    *ENVELOPE,
)


@command(b"822print")
def main(argv: Argv) -> int:
    reader = Reader(0)
    fields, beginning = header(reader)
    write_all(1, b"".join(lines(fields)))
    write_all(1, (beginning.removeprefix(b"\n") or beginning) + reader.take(len(reader.buffer)))
    copy(0, 1)
    return 0


def lines(fields: list[bytes]) -> Iterator[bytes]:
    """The header, readable, in pieces."""
    yield both(plain(b"Subject:"), underlined(said(fields, b"subject"), plain))
    yield from listed(fields, b"From", bold)
    yield dated(fields)
    yield from listed(fields, WAY[0], bold, post=WAY[1])
    yield from whole(fields, *ENVELOPE)
    yield from whole(fields, THREADING)
    for label, name in THREAD:
        yield from listed(fields, label, underlined, name)
    yield LINE
    for label in READERS:
        yield from listed(fields, label, bold, *((b"bcc", b"apparently-to") if label == b"Bcc" else ()))
    yield LINE
    for label, post in ANSWERS:
        yield from listed(fields, label, bold, post=post)
    yield from whole([field for field in fields if name_of(field) not in KNOWN])


def said(fields: Iterable[bytes], name: bytes) -> bytes:
    """What the fields called *name* say, with a NUL between two."""
    return b"\0".join(values(fields, name))


def dated(fields: list[bytes]) -> bytes:
    """The line of the date."""
    dates = [date for value in values(fields, b"date") if (date := parse(value))]
    left = plain(b"Date:") + plain(said(fields, b"date"), underlined)
    return both(left, underlined(Date.at(dates[-1].seconds(), local=True).clock())) if dates else one(left)


def listed(
    fields: list[bytes], label: bytes, style: Callable[..., Cells], *names: bytes, post: bytes = b""
) -> Iterator[bytes]:
    """A line for each address, in *style*, of the fields called *names*, by default as the *label*."""
    found = [record for value in values(fields, *(names or (label.lower(),))) for record in addresses(value)]
    for name, address in paired(found):
        left = plain(label + b": ") + underlined(name or b"", plain)
        yield one(left) if address is None else both(left, plain(post) + style(address, underlined))


def whole(fields: list[bytes], *names: bytes) -> Iterator[bytes]:
    """The lines of the fields called *names*, of all without any, as they are."""
    for field in fields:
        if not names or name_of(field) in names:
            for line in field.splitlines():
                yield one(plain(line, underlined))


# -- cells -------------------------------------------------------------------------------
def styled(text: bytes, before: Callable[[bytes], bytes], odd: Callable[..., Cells] | None) -> Cells:
    """The cells of *text*: a letter behind what *before* makes of it; what cannot be shown in digits, *odd* ones."""
    cells = []
    for byte in text.replace(b"\t", b" "):
        if 32 <= byte <= 126:
            letter = bytes([byte])
            cells.append(before(letter) + letter)
        else:
            cells += (odd or plain)(b"\\%03o" % byte)
    return cells


def plain(text: bytes, odd: Callable[..., Cells] | None = None) -> Cells:
    return styled(text, lambda letter: b"", odd)


def underlined(text: bytes, odd: Callable[..., Cells] | None = None) -> Cells:
    return styled(text, lambda letter: b"_\b", odd)


def bold(text: bytes, odd: Callable[..., Cells] | None = None) -> Cells:
    return styled(text, lambda letter: letter + b"\b", odd)


def one(left: Cells) -> bytes:
    """Lines that have a left side only, broken before blanks."""
    done = b""
    while len(left) > LONGEST_LEFT:
        blanks = [at for at, cell in enumerate(left[:LONGEST_LEFT]) if cell.endswith(b" ")]
        size = (blanks[-1] if blanks else 0) or LONGEST_LEFT
        done += b"".join(left[:size]) + b"\n"
        left = left[size:]
    return done + b"".join(left) + b"\n"


def both(left: Cells, right: Cells) -> bytes:
    """Lines with a left and a right side."""
    done = b""
    while len(left) + len(right) > LONGEST_BOTH:
        size = min(LONGEST_SIDE, len(left))
        other = min(LONGEST_SIDE, len(right), LONGEST_BOTH - size)
        done += row(left[:size], right[:other])
        left, right = left[size:], right[other:]
    return done + row(left, right)


def row(left: Cells, right: Cells) -> bytes:
    """One line."""
    return b"".join(left) + b" " * (WIDTH - len(left) - len(right)) + b"".join(right) + b"\n"
