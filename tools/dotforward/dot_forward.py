"""dot-forward - follow a .forward file

Usage: dot-forward [ -nN ] file ...

dot-forward is a line of a .qmail file, or of the default delivery. It reads a message from descriptor 0 and does with
it what the first of the files says that exists and says anything. Each line has recipients, with commas between them,
as a header field has them; a line that begins with `#` has none:

    bob, sue@elsewhere.example (Sue), "A. B." <ab@host>
    \\joe, "|vacation joe"

An address without a host gets that of defaulthost, a host without a dot the domain of defaultdomain, a host that
ends in a plus sign the one of plusdomain in its place. $USER alone, and $USER@$HOST, stand for delivery to this very
user, who must have it in the next line of .qmail:

    | dot-forward .forward
    ./Mailbox

A recipient that begins with `|` is a program, run by sh when it is met, with the lines `From `, Return-Path and
Delivered-To in front of the message; quote it when there are blanks in it. Files, and `:include:`, cannot be
recipients.

Options:
    -n  print what would be done on descriptor 2, and do nothing
    -N  do it (the default)

Exit status:
    0    the lines that follow in .qmail count: no file says anything, or one says that the message is for this user
    99   they do not: all is done
    100  a program said that this will never work, or the queue; or wrong usage
    111  try again later

Environment:
    USER, HOST              who gets the message
    NEWSENDER               the envelope sender of what is forwarded
    DTLINE                  the Delivered-To line, which goes in front of what is forwarded
    UFLINE, RPLINE          the other two lines
    QMAILQUEUE              the program that queues, instead of qmail-queue

Files:
    control/me              the default of the others
    control/defaulthost, control/defaultdomain, control/plusdomain
                            what completes addresses

See also: fastforward, qmail-local
"""

from __future__ import annotations

import os

from mta.local.dotqmail import meaning
from mta.tokens import Unparsable
from supervise.command import Argv, command, say
from supervise.errors import Temporary
from supervise.files import slurp
from supervise.options import options
from tools.fastforward.recipients import ADDRESS, FILE, NAME, PROGRAM, Hosts, lines, recipients

ENOUGH = 99  # the exit code that ends a .qmail file


@command(b"dot-forward", b"[ -nN ] file ...")
def main(argv: Argv) -> int:
    chosen, files = options(argv, b"nN")
    forward = Forward(Hosts(), not chosen or chosen[-1][0] == b"N")
    for file in files:
        content = read(file)
        if content is None:
            continue
        forward.follow(content)
        if forward.found:
            break
        forward.show(b"skipping empty file " + file)
    forward.send()
    if forward.found and not forward.direct:
        return ENOUGH
    forward.show(b"direct delivery")
    return 0


def read(file: bytes) -> bytes | None:
    """The content of *file*, or None when there is no such file."""
    try:
        return slurp(file)
    except OSError as error:
        raise Temporary(b"unable to %s %s" % (b"open" if error.filename else b"read", file), error) from None


class Forward:
    """What becomes of the message.

    Attributes:
        found: whether any recipient was.
        direct: whether the user is to get it here.

    Args:
        for_real: else it is only shown.
    """

    def __init__(self, hosts: Hosts, for_real: bool) -> None:
        self.hosts, self.for_real = hosts, for_real
        self.found = self.direct = False
        self.addresses: list[bytes] = []
        user = os.environb.get(b"USER")
        host = os.environb.get(b"HOST")
        self.myself = {NAME: user, ADDRESS: None if user is None or host is None else user + b"@" + host}

    def follow(self, content: bytes) -> None:
        """Do what a file with this *content* says: programs at once, addresses are kept for `send`.

        Raises:
            Temporary, Permanent: it cannot be done, or not understood.
        """
        for line in lines(content):
            try:
                for kind, text in recipients(line):
                    self.take(kind, text)
            except Unparsable:
                raise Temporary(b"unable to parse this line: " + line) from None

    def take(self, kind: bytes, text: bytes) -> None:
        """Do what is to be done for one recipient."""
        if kind == FILE:
            raise Temporary(b"file delivery %s not supported" % text)
        if kind == PROGRAM:
            program = meaning(text)
            self.show(b"pipe through " + program)
            self.run(program)
        elif not text:
            return
        elif self.is_myself(kind, text):
            self.direct = True
        else:
            address = meaning(self.hosts.complete(kind, text))
            self.show(b"forward " + address)
            self.addresses.append(address)
        self.found = True

    def is_myself(self, kind: bytes, text: bytes) -> bool:
        """Whether this is the user's own address."""
        mine = self.myself[kind]
        return mine is not None and mine.lower() == text.lower()

    def run(self, command: bytes) -> None:
        """Run a program.

        Raises:
            Temporary, Permanent: it says so, or it cannot be run.
        """
        if self.for_real:
            from tools.fastforward import program  # most messages go without one

            program.run(command, program.lines(), b"/bin/sh", b"dot-forward")

    def send(self) -> None:
        """Send the message on to the addresses.

        Raises:
            Temporary, Permanent: the queue does not take it.
        """
        if not self.for_real or not self.addresses:
            return
        from mta.dotqmail.sending import send_on

        head, sender = os.environb.get(b"DTLINE", b""), os.environb.get(b"NEWSENDER", b"")
        say(b"dot-forward: info: qp %d" % send_on(head, sender, self.addresses, b"unable to forward message: %s"))

    def show(self, text: bytes) -> None:
        """Print what is done, if it is not done for real."""
        if not self.for_real:
            say(text)
