"""forward - send a message on

Usage: forward address ...

forward queues the message on descriptor 0 for each address, with the Delivered-To line on top that stops loops.  It is
for .qmail files, where an address is found out by a shell:

    |forward "$LOCAL"@irs.example

Exit status:
    0    it is queued
    100  a variable is missing, or the queue will never take it
    111  trouble that may pass; nothing is queued

Environment:
    NEWSENDER  the envelope sender
    DTLINE     the Delivered-To line; qmail-local sets both
    QMAILQUEUE the program that queues, instead of qmail-queue

See also: condredirect, qmail-local, qmail-queue
"""

from mta.dotqmail.sending import needed, send_on
from supervise.command import Argv, command, say


@command(b"forward", b"address ...")
def main(argv: Argv) -> int:
    sender, head = needed(b"NEWSENDER"), needed(b"DTLINE")
    say(b"forward: qp %d" % send_on(head, sender, argv[1:]))
    return 0
