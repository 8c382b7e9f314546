"""qmail-rspawn - deliver to other hosts for qmail-send

Usage: qmail-rspawn

qmail-rspawn gets requests from qmail-send on descriptor 0 and reports on 1; the two forms
stand in mta/spawner.py.  For each it has qmail-remote run, with the recipient's host, the
sender and the recipient as arguments and the message on descriptor 0, in workers that
serve many deliveries.  It makes one report of the two that qmail-remote writes, the one
on the recipient and the one on the message.

At its start it forgets which hosts did not answer (queue/lock/tcpto).

A qmail-remote that is missing, crashes or writes nonsense is our own failure, and what
it was to deliver is tried again later.

Exit status:
    0    qmail-send is gone, and the last delivery has ended
    111  the queue is not there

Environment:
    QMAILREMOTE  a program to run in place of qmail-remote

See also: qmail-send, qmail-remote, qmail-lspawn
"""

from __future__ import annotations

import os

from mta import home
from mta.remote import timeouts
from mta.spawner import Done, Job, Request, Spawner
from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.program import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.spawner import Steps

CRASHED = b"Zqmail-remote crashed.\n"
UNABLE = b"ZUnable to run qmail-remote.\n"
SILENT = b"Zqmail-remote produced no output.\n"
NONSENSE = b"Zqmail-remote produced no report.\n"

GRADES = {b"D": 0, b"Z": 1, b"K": 2}
RECIPIENTS = {b"h": b"D", b"s": b"Z"}


@command(b"qmail-rspawn")
def main(argv: Argv) -> int:
    if len(argv) > 1:
        raise Usage
    try:
        timeouts.clear()
    except OSError:  # then there is none, or it is not ours to clear
        pass
    preload()
    return Spawner(deliver).serve()


def preload() -> None:
    """Import, once and here, what each worker would have to import."""
    if find(program()):  # another program imports for itself
        import psutil  # noqa: F401

        from ucspi import dns

        dns.load()


def program() -> bytes:
    """What to run."""
    return os.environb.get(b"QMAILREMOTE") or home.program(b"qmail-remote")


def deliver(request: Request) -> Steps:
    """Run qmail-remote for *request*; the report."""
    done = yield Job([program(), request.host, request.sender, request.recipient])
    return report(done)


def report(done: Done) -> bytes:
    """The report to qmail-send on what qmail-remote did: a letter and a text."""
    if done.crashed:
        return CRASHED
    if done.code:
        return UNABLE
    if not done.output:
        return SILENT
    return merged(done.output.split(b"\0")[:-1])


def merged(reports: list[bytes]) -> bytes:
    """One report made of those that qmail-remote wrote.

    The first is on the recipient: h says never and s says later; with r the one on the message
    decides, the first that begins with K, Z or D.  The text is the recipient's, followed by the
    message's unless that sounds better than what we say.
    """
    on_message = next((text for text in reports if text[:1] in GRADES), b"")
    if not on_message and reports[:1] in ([], [b"r"]):
        return NONSENSE
    recipient = reports[0]
    # As nothing here may bounce mail by mistake, a message without a report is one for later.
    letter = RECIPIENTS.get(recipient[:1]) or on_message[:1] or b"Z"
    both = on_message and on_message is not recipient and GRADES[on_message[:1]] <= GRADES[letter]
    return letter + recipient[1:] + (on_message[1:] if both else b"")
