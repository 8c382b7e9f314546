"""qreceipt - answer a request for a delivery notice

Usage: qreceipt deliveryaddress

qreceipt looks at the header of the message on descriptor 0.  When deliveryaddress, exactly as it is spelled, is in its
field Notice-Requested-Upon-Delivery-To, a short notice goes to the envelope sender.  In a .qmail file:

    |qreceipt bill@heaven.example

Nobody is told of the delivery of a bounce.

Exit status:
    0    the notice is queued, or none was asked for
    100  wrong usage, SENDER is not set, the field cannot be parsed, or the queue will never take the notice
    111  trouble that may pass

Environment:
    SENDER     the envelope sender, from qmail-local
    QMAILQUEUE the program that queues, instead of qmail-queue

See also: qmail-local, qmail-queue
"""

from __future__ import annotations

import os

from mta import header
from mta.address import quote
from mta.header import name_of
from mta.inject.rewriting import rewrite
from mta.local.environment import NOBODY
from mta.queue.submit import Submission
from mta.tokens import Unparsable, plain
from supervise.command import Argv, command
from supervise.errors import PERMANENT, Permanent, Temporary, Usage
from supervise.fd import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.tokens import Token

REQUEST = b"notice-requested-upon-delivery-to"


@command(b"qreceipt", b"deliveryaddress")
def main(argv: Argv) -> int:
    sender = os.environb.get(b"SENDER")
    if len(argv) < 2 or sender is None:
        raise Usage
    target = argv[1]
    try:
        fields, _ = header.split(Reader(0))
    except OSError:
        raise Temporary(b"read error") from None
    except Permanent:  # a header that is larger than we read asks for nothing
        return 0
    try:
        asked = [target in addresses(field) for field in fields if name_of(field) == REQUEST]
    except Unparsable as bad:
        os.write(2, b"qreceipt: fatal: unable to parse this: " + bad.text)
        return PERMANENT
    if any(asked) and sender not in NOBODY:
        ids = [field for field in fields if name_of(field) == b"message-id"]
        send(notice(quote(sender), target, ids[-1] if ids else None), sender)
    return 0


def addresses(field: bytes) -> list[bytes]:
    """The addresses in *field*.

    Raises:
        Unparsable: it is no list of addresses.
    """
    found: list[bytes] = []

    def note(address: list[Token]) -> list[Token]:
        found.append(plain(address))
        return address

    rewrite(field, note)
    return found


def notice(sender: bytes, target: bytes, message_id: bytes | None) -> bytes:
    """The notice for *sender*, as header fields have that address, that *target* has got the message."""
    text = (
        b"From: DELIVERY NOTICE SYSTEM <%s>\nTo: <%s>\nSubject: success notice\n\n"
        b"Hi! This is the qreceipt program. Your message was delivered to the\n"
        b"following address: %s. Thanks for asking.\n" % (sender, sender, target)
    )
    return text if message_id is None else text + b"Your " + message_id


def send(text: bytes, recipient: bytes) -> None:
    """Queue *text* for *recipient*, from nobody.

    Raises:
        Temporary, Permanent: it is not accepted.
    """
    submission = Submission()
    submission.write(text)
    verdict = submission.send(b"", [recipient])
    if verdict.startswith(b"D"):
        raise Permanent(b"permanent qmail-queue error")
    if verdict:
        raise Temporary(b"temporary qmail-queue error")
