"""new-inject - complete a mail message and send it

Usage: new-inject [ -nNaAhHFIMRS ] [ -fsender ] [ recip ... ]

new-inject reads a message from descriptor 0, gives it a clean header, and queues it for its recipients. It is
qmail-inject's successor in mess822: hosts are rewritten by instructions, and what is wrong in a list of addresses is
put right instead of refused.

Recipients are the arguments if there are any, otherwise the addresses in Envelope-Recipients, and without such a field
those in To, Cc, Bcc and Apparently-To. The envelope sender is that of -f, of Envelope-Sender, of Return-Path, or the
user. These fields do not go out, except To and Cc, nor does Content-Length.

Each of From, Sender, Reply-To, Mail-Reply-To, Mail-Followup-To, To, Cc and Notice-Requested-Upon-Delivery-To comes out
once, with all addresses complete, its names quoted and comments made names. The last Date that can be understood is
written anew, with the zone as a number. Date, Message-ID and From are made when they are missing. Received,
Delivered-To, Errors-To, Return-Receipt-To and all Resent fields come first, as they are: a message that is sent on has
no other recipients. All other fields stay as they are.

A host is rewritten by each line of control/rewrite in its order, upper and lower case being the same:

    =post:new      post becomes new
    *post:new      what ends with post ends with new
    ?post:new      the same, if no dot and no bracket stands in front of post
    -post:new      what ends with post becomes new

Without the file these are `*.:`, `=:defaulthost`, `*+:.plusdomain` and `?:.defaultdomain`, with what these control
files say. A name without a host has the empty host.

A header has at most 8 MiB. The body may be of any size.

Not as the original: the host is what follows the last `@` of an address, also when there is one in quotes before it; a
tab or a carriage return is a blank, and a lonely backslash at the end nothing; Message-ID has microseconds in it, since
process numbers come again; leap seconds are not counted.

Options:
    -a          send to the arguments only
    -h          send to the addresses in the header only
    -H          send to both
    -A          the default: to the arguments, to the header's when there are none
    -fsender    the envelope sender
    -F          make From anew
    -I          make Message-ID anew
    -S          do not look at Return-Path
    -M          an envelope sender for this message alone
    -R          an envelope sender for each recipient (VERP)
    -n          print the message, with Envelope-Sender and Envelope-Recipients in front; queue nothing
    -N          the default: queue it

Exit status:
    0    the message is queued or printed
    100  wrong usage, or the queue will never take it
    111  trouble that may pass; nothing is queued

Environment:
    QMAILUSER, MAILUSER, USER, LOGNAME  the user in From; the first that is set counts
    QMAILHOST, MAILHOST                 the host in From, to be rewritten
    QMAILNAME, MAILNAME, NAME           the personal name in From
    QMAILSUSER, QMAILSHOST              user and host of the envelope sender; by default those of From
    QMAILINJECT                         letters: F, I, M, R and S as the options, in upper or lower case
    QMAILMFTFILE                        a file of mailing lists, one address a line; when one is in To or Cc,
                                        Mail-Followup-To is made
    QMAILREWRITEFILE                    a file, if it is there, in place of control/rewrite
    QMAILDEFAULTDOMAIN, QMAILDEFAULTHOST, QMAILIDHOST, QMAILPLUSDOMAIN
                                        instead of the control files
    QMAILQUEUE                          the program that queues, instead of qmail-queue

Files:
    control/rewrite        how hosts are rewritten
    control/me             the default of the others
    control/defaultdomain, control/defaulthost, control/plusdomain
                           what completes addresses, without control/rewrite
    control/idhost         the host in Message-ID

See also: qmail-inject, ofmipd, qmail-queue
"""

from __future__ import annotations

import os
import time

from mta import home
from mta.inject.fields import VERP
from mta.inject.inject import body, queue
from mta.inject.options import ARGUMENTS, BOTH, EITHER, HEADER, Wishes
from supervise.command import Argv, command
from supervise.errors import PERMANENT, Usage
from supervise.fd import Reader, write_all
from supervise.options import options
from tools.mess822.addresses import ADDRESS, spelled
from tools.mess822.outgoing import Outgoing, serial
from tools.mess822.reading import header
from tools.mess822.rewriting import Rewriting, id_host, users_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.mess822.addresses import Record

SENDER, RECIPIENTS, RETURN_PATH = ENVELOPE = b"envelope-sender", b"envelope-recipients", b"return-path"
FOLLOW_UP = b"mail-followup-to"
SENT_TO = b"to", b"cc", b"bcc", b"apparently-to"


@command(b"new-inject", b"[ -nNaAhHFIMRS ] [ -fsender ] [ recip ... ]")
def main(argv: Argv) -> int:
    try:
        return inject(Plan(argv))
    except Usage:  # which option is wrong has been said
        return PERMANENT


class Plan:
    """What the user wants, of the command line and the environment.

    Attributes:
        user: names and hosts.
        letters: what is on of F, I, M, R, S.
        print: whether to print the message or to queue it.
        sender: the envelope sender of `-f`, or None.
        arguments: recipients, none if those are not wanted.
        header: whether recipients in the header count.
        rules: the user's own instructions, or None.
    """

    def __init__(self, argv: Argv) -> None:
        self.user = Wishes()
        self.letters = set(os.environb.get(b"QMAILINJECT", b"").upper())
        self.sender: bytes | None = None
        self.print, source = False, EITHER
        chosen, rest = options(argv, b"nNaAhHFIMRSf:")
        for letter, value in chosen:
            if letter == b"f":
                self.sender = value
            elif letter in b"nN":
                self.print = letter == b"n"
            elif letter in b"aAhH":
                source = ord(letter)
            else:
                self.letters.add(ord(letter))
        if source == EITHER:
            source = ARGUMENTS if rest else HEADER
        self.arguments = [] if source == HEADER else rest
        self.header = source in (HEADER, BOTH)
        self.rules = users_own()

    def has(self, letter: bytes) -> bool:
        """Whether the option *letter* is on."""
        return ord(letter) in self.letters


def inject(plan: Plan) -> int:
    """Read, rewrite, queue or print."""
    now = time.time()
    home.enter()
    rewriting = Rewriting.read(plan.rules)
    ids = id_host(rewriting)
    reader = Reader(0)
    fields, beginning = header(reader)
    outgoing = Outgoing(fields, ENVELOPE)
    drop(outgoing, plan)
    outgoing.rewrite(rewriting)
    sender = sender_of(outgoing, plan, rewriting, now)
    recipients = [rewriting.address(argument) for argument in plan.arguments]
    if plan.header:
        recipients += outgoing.among(*((RECIPIENTS,) if RECIPIENTS in outgoing.lists else SENT_TO))
    if plan.user.lists and not outgoing.lists.get(FOLLOW_UP):
        outgoing.lists[FOLLOW_UP] = follow_up(outgoing, plan.user.lists)
    author = rewriting.address(plan.user.user + b"@" + (plan.user.host or b""))
    text = outgoing.header(now, serial(now), ids, author, plan.user.name)
    if not plan.print:
        queue(sender, recipients, text, body(beginning, reader))
        return 0
    write_all(1, envelope(sender, recipients) + text)
    for piece in body(beginning, reader):
        write_all(1, piece)
    return 0


def drop(outgoing: Outgoing, plan: Plan) -> None:
    """Forget what the user does not want to be looked at."""
    if plan.has(b"S"):
        outgoing.lists.pop(RETURN_PATH, None)
    if plan.has(b"I"):
        outgoing.ids.clear()
    if plan.has(b"F"):
        outgoing.lists.pop(b"from", None)


def sender_of(outgoing: Outgoing, plan: Plan, rewriting: Rewriting, now: float) -> bytes:
    """The envelope sender."""
    if plan.sender is not None:
        return rewriting.address(plan.sender)
    for name in (SENDER, RETURN_PATH):
        if found := outgoing.among(name):
            return found[-1]
    user = plan.user.bounce_user
    if plan.has(b"M"):
        user += b"-%d.%d" % (now, os.getpid())
    if plan.has(b"R"):
        user += b"-"
    sender = rewriting.address(user + b"@" + (plan.user.bounce_host or b""))
    return sender + VERP if plan.has(b"R") else sender


def follow_up(outgoing: Outgoing, lists: set[bytes]) -> list[Record]:
    """The list Mail-Followup-To, if one of the mailing *lists* is in To or Cc; else nothing."""
    readers = [record for name in (b"to", b"cc") for record in outgoing.lists.get(name, ())]
    return readers if any(kind == ADDRESS and text.lower() in lists for kind, text in readers) else []


def envelope(sender: bytes, recipients: list[bytes]) -> bytes:
    """The envelope as fields."""
    lines = b"".join(b"  " + spelled(None, recipient) + b",\n" for recipient in recipients)
    return b"Envelope-Sender: " + spelled(None, sender) + b"\nEnvelope-Recipients:\n" + lines
