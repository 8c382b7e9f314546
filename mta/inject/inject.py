"""qmail-inject - complete a mail message and send it

Usage: qmail-inject [ -nNaAhH ] [ -fsender ] [ recip ... ]

qmail-inject reads a message from descriptor 0, adds what its header lacks, completes the
addresses in it, and queues it for its recipients.

Recipients are the arguments if there are any, otherwise the addresses in To, Cc, Bcc and
Apparently-To. A message with any Resent field is one that is sent on, and then the addresses
in Resent-To, Resent-Cc and Resent-Bcc count instead. Date, Message-ID and From are made when
they are missing, with Resent in front for a message that is sent on. Bcc, Resent-Bcc,
Return-Path and Content-Length are dropped. Comments, names and bytes beyond ASCII stay.

A name without a host gets that of defaulthost, a host without a dot the domain of
defaultdomain, a host that ends in a plus sign the one of plusdomain in its place.

A header has at most 8 MiB. The body may be of any size.

Options:
    -a          send to the arguments only
    -h          send to the addresses in the header only
    -H          send to both
    -A          the default: to the arguments, to the header's when there are none
    -fsender    the envelope sender, whatever Return-Path and the environment say
    -n          print the message, with its envelope sender as Return-Path; queue nothing
    -N          the default: queue it

Exit status:
    0    the message is queued or printed
    100  wrong usage, a field or an address that cannot be parsed, or the queue will never take it
    111  trouble that may pass; nothing is queued

Environment:
    QMAILUSER, MAILUSER, USER, LOGNAME  the user in From; the first that is set counts
    QMAILHOST, MAILHOST                 the host in From
    QMAILNAME, MAILNAME, NAME           the personal name in From
    QMAILSUSER, QMAILSHOST              user and host of the envelope sender; by default those of From
    QMAILINJECT                         letters: c, the name as a comment in From; s, f and i, do not look at
                                        Return-Path, From and Message-ID of the message; m, an envelope sender
                                        for this message alone; r, one for each recipient
    QMAILMFTFILE                        a file of mailing lists, one address a line; when one is in To or Cc,
                                        Mail-Followup-To is made
    QMAILDEFAULTDOMAIN, QMAILDEFAULTHOST, QMAILIDHOST, QMAILPLUSDOMAIN
                                        instead of the control files
    QMAILQUEUE                          the program that queues, instead of qmail-queue

Files:
    control/me             the default of the others
    control/defaultdomain, control/defaulthost, control/plusdomain
                           what completes addresses
    control/idhost         the host in Message-ID

See also: sendmail, qmail-queue
"""

from __future__ import annotations

import os
import time

from mta import home
from mta.address import quote
from mta.header import split
from mta.inject.fields import Header
from mta.inject.options import Options, Wishes
from mta.inject.recipients import complete
from mta.inject.rewriting import Hosts
from mta.queue.codes import trouble
from mta.queue.submit import Submission
from mta.tokens import Unparsable
from supervise.command import Argv, command
from supervise.errors import PERMANENT, Temporary, Usage
from supervise.fd import Reader, chunks, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@command(b"qmail-inject", b"[ -nNaAhH ] [ -fsender ] [ recip ... ]")
def main(argv: Argv) -> int:
    try:
        return inject(argv)
    except Unparsable as bad:  # as the original: the text as it is, with a line end if it has one
        os.write(2, b"qmail-inject: fatal: unable to parse this line:\n" + bad.text)
        return PERMANENT
    except Usage:  # which option is wrong has been said
        return PERMANENT


def inject(argv: Argv) -> int:
    """Read, complete, queue or print."""
    now = time.time()
    wishes = Wishes()
    home.enter()
    hosts = Hosts()
    options = Options(argv, hosts)
    recipients = complete(options.arguments, hosts)
    reader = Reader(0)
    header = Header(wishes, hosts, options.sender, now)
    beginning = read(reader, header)
    text = header.finish()
    sender = header.sender or b""
    if not options.queue:
        show(sender, text, body(beginning, reader))
        return 0
    if options.header:
        recipients += header.recipients.again if header.resent else header.recipients.first
    queue(sender, recipients, text, body(beginning, reader))
    return 0


def read(reader: Reader, header: Header) -> bytes:
    """Give the message's fields to *header*; the beginning of the body."""
    try:
        fields, beginning = split(reader)
    except OSError:
        raise Temporary(b"read error") from None
    for field in fields:
        header.take(field)
    return beginning


def body(beginning: bytes, reader: Reader) -> Iterator[bytes]:
    """The body in pieces; its last line gets an end.

    Raises:
        Temporary: it cannot be read.
    """
    end = b"\n"
    try:
        for piece in (beginning, reader.take(len(reader.buffer))):
            if piece:
                yield piece
                end = piece[-1:]
        for piece in chunks(reader.fd):
            yield piece
            end = piece[-1:]
    except OSError:
        raise Temporary(b"read error") from None
    if end != b"\n":
        yield b"\n"


def show(sender: bytes, text: bytes, pieces: Iterable[bytes]) -> None:
    """Print the message."""
    write_all(1, b"Return-Path: <" + quote(sender) + b">\n" + text)
    for piece in pieces:
        write_all(1, piece)


def queue(sender: bytes, recipients: list[bytes], text: bytes, pieces: Iterable[bytes]) -> None:
    """Queue the message.

    Raises:
        Temporary, Permanent: it is not accepted.
    """
    submission = Submission()
    submission.write(text)
    submission.take(pieces)
    verdict = submission.send(sender, recipients)
    if verdict:
        raise trouble(verdict)
