"""maildir2mbox - move mail from a Maildir to an mbox

Usage: maildir2mbox

maildir2mbox appends the messages in new and cur of a Maildir to an mbox, the oldest first, for mail readers that know
no Maildir, and removes them from the Maildir.  It locks the mbox as qmail-local does, writes a copy of it with the
messages behind, syncs that, and puts it in place of the old one.  After a crash at any moment each message is in the
mbox or still in the Maildir, at worst in both.

Messages that have come in this very second are left for the next time.

Exit status:
    0    done, or there was nothing to do
    111  a variable is not set, or something could not be done; all messages are still in the Maildir

Environment:
    MAILDIR  the Maildir
    MAIL     the mbox, which is made when it is missing
    MAILTMP  the copy being written, on the same file system; it ends as the mbox

See also: qmail-local, maildirwatch, qail
"""

from __future__ import annotations

import os

from mta.date import mbox_date
from mta.mailbox import listing, mbox
from supervise.command import Argv, command, say
from supervise.errors import Temporary, reason
from supervise.fd import CHUNK, chunks, write_all
from supervise.files import announced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.mailbox.reading import Message

RETURN_PATH = b"Return-Path: <"
DASHES = bytes.maketrans(b" \t", b"--")


@command(b"maildir2mbox")
def main(argv: Argv) -> int:
    os.umask(0o77)
    box, draft = listing.variable(b"MAIL"), listing.variable(b"MAILTMP")
    listing.enter()
    messages = listing.messages()
    if messages:
        convert(messages, box, draft)
        for message in messages:
            remove(message)
    return 0


def convert(messages: list[Message], box: bytes, draft: bytes) -> None:
    """Append *messages* to *box*, by way of *draft*.

    Raises:
        Temporary: it could not be done; *box* is as it was.
    """
    try:
        lock, _ = mbox.open_locked(box)
    except OSError as error:
        raise Temporary(b"unable to lock " + box, error) from None
    try:
        with announced(box, draft, 0o600) as target:
            copy_box(box, target)
            for message in messages:
                append(message, target)
    except OSError as error:
        raise Temporary(obstacle(error, box, draft), error) from None
    finally:
        os.close(lock)


def obstacle(error: OSError, box: bytes, draft: bytes) -> bytes:
    """Which step failed."""
    if error.filename2:
        return b"unable to move %s to %s" % (draft, box)
    return b"unable to %s %s" % (b"create" if error.filename else b"write to", draft)


def copy_box(box: bytes, target: int) -> None:
    """Copy what is in *box* now.

    Raises:
        Temporary: it cannot be read.
        OSError: it cannot be written.
    """
    source = opened(box, box)
    try:
        for data in pieces(source, box):
            write_all(target, data)
    finally:
        os.close(source)


def pieces(source: int, shown: bytes) -> Iterator[bytes]:
    """What *source* has.

    Raises:
        Temporary: it cannot be read; the line calls it *shown*.
    """
    try:
        yield from chunks(source)
    except OSError as error:
        raise Temporary(b"unable to read " + shown, error) from None


def opened(file: bytes, shown: bytes) -> int:
    """*file*, open for reading.

    Raises:
        Temporary: it cannot be opened; the line calls it *shown*.
    """
    try:
        return os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Temporary(b"unable to read " + shown, error) from None


def append(message: Message, target: int) -> None:
    """Write *message* as it stands in an mbox.

    Raises:
        Temporary: it cannot be read.
        OSError: it cannot be written.
    """
    place = b"$MAILDIR/" + message.name
    source = opened(message.name, place)
    try:
        try:
            line, end, _ = os.pread(source, CHUNK, 0).partition(b"\n")
        except OSError as error:
            raise Temporary(b"unable to read " + place, error) from None
        head = b"From %s %s\n" % (sender(line + end), mbox_date(message.when))
        for data in mbox.gathered(head, mbox.quoted(source)):
            write_all(target, data)
    finally:
        os.close(source)


def sender(line: bytes) -> bytes:
    """Who has sent the message that begins with *line*; XXX when its first field is not the one that tells."""
    if not line.startswith(RETURN_PATH) or not line.endswith(b"\n"):
        return b"XXX"
    address = line[len(RETURN_PATH) : -2]
    return b"MAILER-DAEMON" if not address or address.startswith(b">") else address.translate(DASHES)


def remove(message: Message) -> None:
    """Remove *message* from the Maildir."""
    try:
        os.unlink(message.name)
    except OSError as error:
        what = b"maildir2mbox: warning: $MAILDIR/%s will be delivered twice; unable to unlink: %s"
        say(what % (message.name, reason(error)))
