"""Bounces of messages that maildirserial gives up: in qmail-send's form, from the same addresses."""

from __future__ import annotations

import time

from mta.address import quote, quote_local
from mta.date import header_date
from mta.queue.submit import Submission
from mta.send import bounce, controls
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.serialmail.waiting import Waiting

TO_SENDER = bounce.TO_SENDER.replace(b"addresses.", b"address.")
TOO_OLD = b"This message is too old. Giving up.\n"


class Addresses:
    """Who bounces come from, and who gets bounces of bounces, as the control files say.

    Raises:
        Temporary: one of them cannot be read.
    """

    def __init__(self) -> None:
        self.bouncefrom = controls.value(b"bouncefrom", b"MAILER-DAEMON")
        self.bouncehost = controls.host(b"bouncehost")
        self.doublebounceto = controls.value(b"doublebounceto", b"postmaster") + b"@"
        self.doublebounceto += controls.host(b"doublebouncehost")


def send_back(message: Waiting, why: bytes, too_old: bool, addresses: Addresses) -> int:
    """Tell the sender of *message*, or the postmaster if it has none, *why* it failed; the number behind `qp`.

    Raises:
        Temporary: the queue does not take it; its line is what the queue says.
        OSError: the message cannot be read.
    """
    to = message.sender or addresses.doublebounceto
    submission = Submission()
    head = bounce.BEGINNING % {
        b"program": b"maildirbounce",
        b"date": header_date(time.time()),
        b"from": quote_local(addresses.bouncefrom),
        b"host": addresses.bouncehost,
        b"to": quote(to),
        b"why": TO_SENDER if message.sender else bounce.TO_POSTMASTER,
    }
    submission.write(head + b"<%s>:\n%s" % (message.recipient, why) + (TOO_OLD if too_old else b"") + b"\n")
    submission.write(bounce.middle(message.sender))
    submission.take(message.pieces())
    verdict = submission.send(b"" if message.sender else bounce.DOUBLE, [to])
    if verdict:
        raise Temporary(verdict[1:])
    return submission.pid
