"""The copy of a message that goes on to others."""

from __future__ import annotations

import os

from mta.queue.codes import trouble
from mta.queue.submit import Submission
from supervise.errors import Temporary
from supervise.fd import chunks

MESSAGE = 0  # the descriptor


def send(sender: bytes, recipients: list[bytes], told: bytes = b"%s") -> int:
    """Queue the Delivered-To line of this delivery and what the message still has; the pid of who queued it.

    Args:
        told: what is told when the queue does not take it; %s is what that says.

    Raises:
        Temporary, Permanent: it does not, or the message cannot be read.
    """
    submission = Submission()
    submission.write(os.environb.get(b"DTLINE", b""))
    try:
        submission.take(chunks(MESSAGE))
    except OSError as error:
        raise Temporary(b"unable to read message", error) from None
    verdict = submission.send(sender, recipients)
    if verdict:
        raise trouble(verdict, told)
    return submission.pid
