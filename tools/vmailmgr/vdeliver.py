"""vdeliver - deliver a message to a user of a virtual domain

Usage: vdeliver [ -DFRdfr ] [ --no-predeliver ] [ --no-postdeliver ] [ --quiet ]

vdeliver is a line of .qmail-default in the home of the user whom the domain belongs to. It delivers the message on
descriptor 0 to the mailbox of the user EXT, or else of the user `+`, and forwards it. The message appears in the
mailbox when the queue has taken what is forwarded. A user without either gets nothing, and that is no error.

Before that it runs the hooks vdeliver-predeliver in /etc/vmailmgr and in .vmailmgr in the domain's home, and
afterwards the hooks vdeliver-postdeliver, with the message as descriptor 0 and what is known of the user in VUSER,
MAILDIR and VUSER_*. If one before it exits 99, nothing is delivered and vdeliver exits 99, by which qmail-local leaves
out what follows in .qmail-default; if it exits otherwise but 0, vdeliver exits so. What one after it exits, vdeliver
exits.

Options, of which the last one counts:
    -D, -d  begin the message with a Delivered-To line, or do not
    -F, -f  begin the message in the mailbox with a From line as in mbox files, or do not
    -R, -r  begin the message in the mailbox with a Return-Path line, or do not
    --no-predeliver, --no-postdeliver
            run no such hooks
    --quiet
            do not say why the message is not delivered

Without options it is -D -f -R.

Exit status:
    0    delivered
    1    wrong usage, which qmail-local takes for temporary
    99   vdeliver-predeliver has exited 99, or vdeliver-postdeliver
    100  there is no such user, the user has expired, or a variable is missing
    111  try again later; so also when there is no table of users, or it is damaged
    else that of a hook

Environment:
    HOME, EXT, HOST, SENDER, UFLINE, RPLINE, DTLINE  as qmail-local sets them

See also: qmail-local, vadduser
"""

from __future__ import annotations

import os
import time

from mta import control
from mta.dotqmail.sending import needed, send_on
from mta.local.delivery import MESSAGE, rewind
from mta.mailbox import maildir
from supervise import environment
from supervise.command import Argv, command
from supervise.errors import Permanent, Trouble, Usage
from supervise.fd import write_all
from supervise.options import options
from tools.vmailmgr import hooks
from tools.vmailmgr.domain import Domain
from tools.vmailmgr.entry import Entry

WORDS = {b"no-predeliver": b"before", b"no-postdeliver": b"after", b"quiet": b"quiet"}
LINES = ((b"UFLINE", b"f"), (b"RPLINE", b"R"), (b"DTLINE", b"D"))  # each with the option that holds without options
STOP = 99  # exit code by which qmail-local leaves out what follows


@command(b"vdeliver", b"[ -DFRdfr ] [ --no-predeliver ] [ --no-postdeliver ] [ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    chosen, words = options(argv, b"DFRdfr", WORDS)
    if words:
        raise Usage
    given = [letter for letter, _ in chosen]
    lines = [name for name, letter in LINES if has(letter, given)]
    try:
        return handle(lines, given)
    except Trouble as trouble:  # its words go into a bounce
        if b"quiet" not in given:
            write_all(1, b"vdeliver: " + trouble.line + b"\n")
        return trouble.code


def has(letter: bytes, given: list[bytes]) -> bool:
    """Whether a line begins the message, if *letter* is what holds without options."""
    last = next((each for each in reversed(given) if each.lower() == letter.lower()), letter)
    return last.isupper()


def handle(lines: list[bytes], given: list[bytes]) -> int:
    """Deliver the message, with the *lines* in front that these variables have; an exit code.

    Args:
        given: the options.
    """
    os.chdir(needed(b"HOME"))
    domain = Domain(needed(b"HOME"))
    domain.settings.enter_qmail()
    user = recipient(domain, needed(b"EXT"))
    environment.change(user.variables())
    code = 0 if b"before" in given else hooks.run(domain.settings, b"vdeliver-predeliver")
    if code:
        if code != STOP:
            raise Stopped(code)
        return STOP
    deliver(user, [(name, needed(name)) for name in lines])
    rewind()
    code = 0 if b"after" in given else hooks.run(domain.settings, b"vdeliver-postdeliver")
    if code not in (0, STOP) and b"quiet" not in given:
        write_all(1, b"Execution of vdeliver-postdeliver failed\n")
    return code


class Stopped(Trouble):
    """A hook does not want the message delivered, and has exited *code*."""

    def __init__(self, code: int) -> None:
        super().__init__(b"Execution of vdeliver-predeliver failed")
        self.code = code


def recipient(domain: Domain, ext: bytes) -> Entry:
    """The user who gets mail for *ext*.

    Raises:
        Permanent: nobody does.
        Temporary: that cannot be known now.
    """
    domain.table.must_exist()
    found = domain.table.find(ext) or domain.table.find(domain.settings.value(b"default-username", b"+"))
    if found is None:
        raise Permanent(b"Invalid or unknown virtual user '%s'" % ext)
    if found.expired(time.time()):
        raise Permanent(b"Virtual user '%s' has expired" % ext)
    return found


def deliver(user: Entry, lines: list[tuple[bytes, bytes]]) -> None:
    """Give the message to *user*, in the mailbox with all *lines* in front, elsewhere with what is no mailbox's."""
    host, sender = needed(b"HOST"), needed(b"SENDER")
    recipients = [complete(forward, host) for forward in user.forwards]
    everywhere = b"".join(line for name, line in lines if name == b"DTLINE")

    def forward() -> None:
        if recipients:
            rewind()
            send_on(everywhere, sender, recipients)

    if user.has_mailbox and user.enabled and user.directory:
        rewind()
        head = b"".join(line for _, line in lines)
        maildir.deliver(user.directory.rstrip(b"/") + b"/", head, MESSAGE, forward)
    else:
        forward()


def complete(address: bytes, host: bytes) -> bytes:
    """*address* with a host: *host*, or our own when it ends with an `@`."""
    if b"@" not in address:
        return address + b"@" + host
    return address + (control.value(b"me") or b"") if address.endswith(b"@") else address
