"""What a program in a .qmail file needs to send a message."""

from __future__ import annotations

import os

from mta.queue.codes import trouble
from mta.queue.submit import Submission
from supervise.errors import Permanent, Temporary
from supervise.fd import chunks


def needed(name: bytes) -> bytes:
    """The variable *name*, which qmail-local has set.

    Raises:
        Permanent: it has not.
    """
    value = os.environb.get(name)
    if value is None:
        raise Permanent(name + b" not set")
    return value


def send_on(head: bytes, sender: bytes, recipients: list[bytes], told: bytes = b"%s") -> int:
    """Queue *head* and what our descriptor 0 still has; the pid of who queued it.

    Args:
        told: what is told when the queue does not take it; %s is what that says.

    Raises:
        Temporary, Permanent: it is not accepted.
    """
    submission = Submission()
    submission.write(head)
    try:
        submission.take(chunks(0))
    except OSError as error:
        raise Temporary(b"unable to read message", error) from None
    verdict = submission.send(sender, recipients)
    if verdict:
        raise trouble(verdict, told)
    return submission.pid
