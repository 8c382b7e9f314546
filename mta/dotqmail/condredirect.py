"""condredirect - send a message somewhere else if a program says so

Usage: condredirect newaddress program [ arg ... ]

condredirect runs program with the message on descriptor 0.  When it exits 0, the message is queued for newaddress with
its old sender, and the lines of the .qmail file that follow are not for it any more:

    |condredirect bill-urgent@heaven.example grep -qi '^Priority: urgent'

Exit status:
    99   it is queued
    0    program exits otherwise, or is not there: go on
    100  wrong usage, a variable is missing, or the queue will never take it
    111  program exits 111 or crashed, descriptor 0 is no file, or other trouble that may pass; nothing is queued

Environment:
    SENDER     the envelope sender
    DTLINE     the Delivered-To line; qmail-local sets both
    QMAILQUEUE the program that queues, instead of qmail-queue

See also: forward, bouncesaying, except, qmail-local
"""

import os

from mta.child import holds
from mta.dotqmail.sending import needed, send_on
from supervise.command import Argv, command, say
from supervise.errors import Temporary, Usage

ENOUGH = 99  # for qmail-local: skip the lines that follow


@command(b"condredirect", b"newaddress program [ arg ... ]")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    if not holds(argv[2:]):
        return 0
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError as error:
        raise Temporary(b"unable to rewind", error) from None
    sender, head = needed(b"SENDER"), needed(b"DTLINE")
    say(b"condredirect: qp %d" % send_on(head, sender, argv[1:2]))
    return ENOUGH
