"""qmail-local - deliver a message to a user of this machine

Usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty

qmail-local reads a message from descriptor 0, which must be a file, and delivers it to
local@domain, who is user with the home homedir, dash and ext being what follows the user's
name in local.  sender is the envelope sender.  It does what the user's .qmail file says,
and what aliasempty says when that file is empty or, for user without ext, missing.

A message that has the Delivered-To line of this recipient already is looping, and bounces.
A home that is sticky (`chmod +t`) defers deliveries: its user is editing .qmail files.
A home or .qmail file that others may write defers them too.

Forwarded copies leave as one message, when everything else is done.  When the list has a
.qmail-ext-owner file they carry local-owner@domain as their sender, with .qmail-ext-owner-default
besides a sender of their own for each recipient.

Options:
    -n  print what would be done, and do nothing
    -N  do it (the default)

Exit status:
    0    delivered
    111  try again later
    100  it will never work; or wrong usage

Environment:
    programs get SENDER, NEWSENDER, RECIPIENT, LOCAL, HOST, HOST2 to HOST4, USER, HOME, EXT,
    EXT2 to EXT4, DEFAULT, DTLINE, RPLINE and UFLINE

Files:
    .qmail, .qmail-ext, .qmail-default
    control/patrn  the mode bits, in octal, that a home and a .qmail file must not have (022)

See also: qmail-lspawn, maildirmake, dot-qmail, qmail-users
"""

from __future__ import annotations

import os
import signal
import stat

from mta.local import delivery, dotqmail
from mta.local.dotqmail import FORWARD, MAILDIR, MBOX, PROGRAM
from mta.local.environment import NOBODY, Envelope
from supervise.command import Argv, command, say
from supervise.errors import Permanent, Temporary, Trouble, Usage, reason
from supervise.fd import chunks, write_all
from supervise.options import options


@command(b"qmail-local", b"[ -nN ] user homedir local dash ext domain sender aliasempty", again=True)
def main(argv: Argv) -> int:
    chosen, words = options(argv, b"nN")
    if len(words) != 8 or not words[1].startswith(b"/"):
        raise Usage
    for_real = not chosen or chosen[-1][0] == b"N"
    os.umask(0o77)
    pipes = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        deliver(Envelope(*words[:7]), words[7], for_real)
    except Trouble as trouble:  # its words go into a bounce, without our name
        if trouble.line:
            say(trouble.line)
        return trouble.code
    except MemoryError:
        say(b"Out of memory. (#4.3.0)")
        return Temporary.code
    finally:
        signal.signal(signal.SIGPIPE, pipes)
    return 0


def deliver(envelope: Envelope, usual: bytes, for_real: bool) -> None:
    """Deliver as the user's .qmail file says, or as is *usual* for those who have none.

    Raises:
        Temporary, Permanent: not delivered, or not completely.
    """
    mask = dotqmail.mask()
    enter_home(envelope.home, mask, for_real)
    if for_real and looping(envelope.delivered_to):
        raise Permanent(b"This message is looping: it already has my Delivered-To line. (#5.4.6)")
    found = dotqmail.find(envelope.dash, envelope.ext, mask)
    if not found and envelope.dash:
        raise Permanent(b"Sorry, no mailbox here by that name. (#5.1.1)")
    newsender = sender_of_copies(envelope)
    default = found.default if found else None
    if not found or not found.content:
        found = dotqmail.DotQmail(usual, False, default)
    if for_real:
        follow(found, envelope, newsender)
    else:
        show(found)


def enter_home(home: bytes, mask: int, for_real: bool) -> None:
    """Change to the user's *home*.

    Raises:
        Temporary: we cannot, or the user does not want us there now.
    """
    try:
        os.chdir(home)
    except OSError as error:
        raise Temporary(b"Unable to switch to %s: %s. (#4.3.0)" % (home, reason(error))) from None
    try:
        mode = os.stat(b".").st_mode
    except OSError as error:
        raise Temporary(b"Unable to stat home directory: %s. (#4.3.0)" % reason(error)) from None
    if mode & mask:
        raise Temporary(b"Uh-oh: home directory is writable. (#4.7.0)")
    if mode & stat.S_ISVTX:
        if for_real:
            raise Temporary(b"Home directory is sticky: user is editing his .qmail file. (#4.2.1)")
        say(b"Warning: home directory is sticky.")


def looping(line: bytes) -> bool:
    """Whether the header of the message has exactly this *line*."""
    delivery.rewind()
    wanted, seen = b"\n" + line, b"\n"
    try:
        for chunk in chunks(delivery.MESSAGE):
            seen += chunk
            end = seen.find(b"\n\n") + 1
            if wanted in (seen[:end] if end else seen):
                return True
            if end:
                return False
            seen = seen[-len(wanted) :]
    except OSError as error:
        raise Temporary(b"Unable to read message: %s. (#4.3.0)" % reason(error)) from None
    return False


def sender_of_copies(envelope: Envelope) -> bytes:
    """The sender that forwarded copies carry: the list's owner if it has one; `-@[]` asks for one each."""
    owner = dotqmail.stem(envelope.dash, envelope.ext) + b"-owner"
    if envelope.sender in NOBODY or not dotqmail.exists(owner):
        return envelope.sender
    if dotqmail.exists(owner + b"-default"):
        return b"%s-owner-@%s-@[]" % (envelope.local, envelope.host)
    return b"%s-owner@%s" % (envelope.local, envelope.host)


def follow(file: dotqmail.DotQmail, envelope: Envelope, newsender: bytes) -> None:
    """Do what *file* says, and say how much that was."""
    counts = Counts()
    recipients: list[bytes] = []
    for kind, what in dotqmail.instructions(file.content, file.only_forward):
        counts.add(kind)
        if kind == FORWARD:
            recipients.append(what)
            continue
        if kind != PROGRAM:
            delivery.store(kind, what, envelope)
            continue
        if counts.programs == 1:
            os.environb.update(envelope.variables(newsender, file.default))
        if not delivery.run(what):
            break
    qp = b""
    if recipients:
        if not counts.programs:
            os.environb.update(envelope.variables(newsender, file.default))
        qp = b"qp %d\n" % delivery.forward(recipients, newsender, envelope.delivered_to)
    tell(counts.line() + qp)


def show(file: dotqmail.DotQmail) -> None:
    """Print what *file* says."""
    counts = Counts()
    for kind, what in dotqmail.instructions(file.content, file.only_forward):
        counts.add(kind)
        tell(b"%s %s\n" % (kind, what))
    tell(counts.line())


class Counts:
    """How much was done: *files*, *forwards*, *programs*."""

    __slots__ = ("files", "forwards", "programs")

    def __init__(self) -> None:
        self.files = self.forwards = self.programs = 0

    def add(self, kind: bytes) -> None:
        self.files += kind in (MBOX, MAILDIR)
        self.forwards += kind == FORWARD
        self.programs += kind == PROGRAM

    def line(self) -> bytes:
        return b"did %d+%d+%d\n" % (self.files, self.forwards, self.programs)


def tell(text: bytes) -> None:
    """Print *text*; nobody left to read it is no reason to deliver again."""
    try:
        write_all(1, text)
    except OSError:
        pass
