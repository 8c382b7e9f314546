"""qmail-rspawn - deliver to other hosts for qmail-send

Usage: qmail-rspawn

qmail-rspawn gets requests from qmail-send on descriptor 0 and reports on 1; the two forms
stand in mta/spawner.py.  For each it has qmail-remote run, with the recipient's host, the
sender and the recipient as arguments and the message on descriptor 0, in workers that
serve many deliveries.  It makes one report of the two that qmail-remote writes, the one
on the recipient and the one on the message.

Each recipient has a connection of its own.  If control/recipientsremote allows for more, those that
qmail-send names at the same time, of one message at one host and with the same sender, share a
qmail-remote and its connection.  Each counts for concurrencyremote and has a report, as ever.

At its start it forgets which hosts did not answer (queue/lock/tcpto).

A qmail-remote that is missing, crashes or writes nonsense is our own failure, and what
it was to deliver is tried again later.

Exit status:
    0    qmail-send is gone, and the last delivery has ended
    111  the queue is not there

Environment:
    QMAILREMOTE  a program to run in place of qmail-remote

Files:
    control/recipientsremote  recipients that may share a connection, read at the start; 1

See also: qmail-send, qmail-remote, qmail-lspawn
"""

from __future__ import annotations

import os

from mta import control, home
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
    return Spawner(deliver, share=control.number(b"recipientsremote", 1)).serve()


def preload() -> None:
    """Import, once and here, what each worker would have to import."""
    if find(program()):  # another program imports for itself
        import psutil  # noqa: F401

        from ucspi import dns

        dns.load()


def program() -> bytes:
    """What to run."""
    return os.environb.get(b"QMAILREMOTE") or home.program(b"qmail-remote")


def deliver(*requests: Request) -> Steps:
    """Run qmail-remote for *requests*, which are of one sender and host; a report for each."""
    first = requests[0]
    done = yield Job([program(), first.host, first.sender, *(request.recipient for request in requests)])
    return reports(done, len(requests))


def reports(done: Done, count: int) -> list[bytes]:
    """The reports to qmail-send on what qmail-remote did for *count* recipients: each a letter and a text."""
    if done.crashed:
        return [CRASHED] * count
    if done.code:
        return [UNABLE] * count
    if not done.output:
        return [SILENT] * count
    found = done.output.split(b"\0")[:-1]
    return [merged(found)] if count == 1 else shared(found, count)


def shared(reports: list[bytes], count: int) -> list[bytes]:
    """A report for each of *count* recipients made of those that qmail-remote wrote.

    Where it is in doubt which report is whose, nobody's is believed.
    """
    ends = [at for at, text in enumerate(reports) if text[:1] in GRADES]
    own = reports[: ends[0]] if ends else reports
    if len(own) > count or not all(text[:1] in (b"r", *RECIPIENTS) for text in own):
        return [NONSENSE] * count
    on_message = reports[ends[0] :][:1] if ends else []
    if on_message and on_message[0].startswith(b"K") and len(own) < count:
        return [NONSENSE] * count
    return [merged([*own[at : at + 1], *on_message]) for at in range(count)]


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
