"""Envelopes: who sent a message, and who gets it.

A record is a letter, its text, and a NUL.  In `todo/N` and `intd/N` there are

    uUID      the user who submitted the message, a decimal number
    pPID      the process that queued it
    Fsender   the envelope sender; empty for bounces, `#@[]` for bounces of bounces
    Trcpt     a recipient; any number of them

in this order.  A submitter writes F, then T after T, then an empty record to say that
this is all.  An address has at most 1002 bytes.
"""

from __future__ import annotations

from mta.queue import codes
from mta.queue.codes import Refused
from supervise.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 1002  # bytes of an address
PIECE = 65536  # bytes of recipients that are written at once


def origin(uid: int, pid: int) -> bytes:
    """The records u and p."""
    return b"u%d\0p%d\0" % (uid, pid)


def pieces(sender: bytes, recipients: Iterable[bytes]) -> Iterator[bytes]:
    """The envelope that a submitter writes, in pieces of bounded size.

    An address ends at its first NUL, so that no address can smuggle in another one.
    """
    piece = bytearray(b"F%s\0" % sender.partition(b"\0")[0])
    for recipient in recipients:
        piece += b"T%s\0" % recipient.partition(b"\0")[0]
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece) + b"\0"


def copy(source: Iterable[bytes], target: int) -> None:
    """Copy a submitter's envelope, in whatever pieces, without its last, empty record, and check it on the way.

    What follows the empty record is not looked at.

    Raises:
        Refused: READ for an end that comes too early, ENVELOPE for a wrong letter, TOO_LONG
            for a long address, WRITE for a target that takes no more.
    """
    rest = b""
    letter = b"F"
    for data in source:
        *records, rest = (rest + data).split(b"\0")
        whole = 0
        for record in records:
            if letter == b"T" and not record:
                break
            check(record, letter)
            letter = b"T"
            whole += 1
        if whole:
            _write(target, b"\0".join(records[:whole]) + b"\0")
        if whole < len(records):
            return
        if rest:
            check(rest, letter)
    raise Refused(codes.READ)


def check(record: bytes, letter: bytes) -> None:
    """Refuse a *record* (without its NUL, perhaps without its end) that is not a fit one under *letter*."""
    if record[:1] != letter:
        raise Refused(codes.ENVELOPE)
    if len(record) > 1 + LONGEST:
        raise Refused(codes.TOO_LONG)


def _write(target: int, data: bytes) -> None:
    try:
        write_all(target, data)
    except OSError:
        raise Refused(codes.WRITE) from None


def parse(content: bytes) -> tuple[int, int, bytes, list[bytes]]:
    """The uid, the pid, the sender and the recipients of a `todo` file's *content*.

    Raises:
        ValueError: it is no envelope.
    """
    *records, rest = content.split(b"\0")
    if rest or [record[:1] for record in records[:3]] != [b"u", b"p", b"F"]:
        raise ValueError("no envelope")
    if any(record[:1] != b"T" for record in records[3:]):
        raise ValueError("no recipient")
    uid, pid, sender = records[:3]
    return int(uid[1:]), int(pid[1:]), sender[1:], [record[1:] for record in records[3:]]


def each_of(packed: bytearray) -> Iterator[bytes]:
    """The recipients in *packed*, each with a NUL behind it, one by one: a list may take ten times the memory."""
    at = 0
    while (end := packed.find(b"\0", at)) >= 0:
        yield bytes(packed[at:end])
        at = end + 1
