"""vdeliver - deliver a message to a user of a virtual domain

Usage: vdeliver

vdeliver is a line of .qmail-default in the home of the user whom the domain belongs to. It delivers the message on
descriptor 0 to the mailbox of the user EXT, or else of the user `+`, and forwards it. The message appears in the
mailbox when the queue has taken what is forwarded. A user without either gets nothing, and that is no error.

Exit status:
    0    delivered
    100  there is no such user, the user has expired, or a variable is missing
    111  try again later; so also when there is no table of users, or it is damaged

Environment:
    HOME, EXT, HOST, SENDER, RPLINE, DTLINE  as qmail-local sets them

See also: qmail-local, vadduser
"""

from __future__ import annotations

import os
import time

from mta import control
from mta.dotqmail.sending import needed, send_on
from mta.local.delivery import MESSAGE, rewind
from mta.mailbox import maildir
from supervise.command import Argv, command
from supervise.errors import Permanent, Trouble
from supervise.fd import write_all
from tools.vmailmgr.domain import Domain
from tools.vmailmgr.entry import Entry


@command(b"vdeliver")
def main(argv: Argv) -> int:
    try:
        os.chdir(needed(b"HOME"))
        domain = Domain(needed(b"HOME"))
        domain.settings.enter_qmail()
        deliver(recipient(domain, needed(b"EXT")))
    except Trouble as trouble:  # its words go into a bounce
        write_all(1, b"vdeliver: " + trouble.line + b"\n")
        return trouble.code
    return 0


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


def deliver(user: Entry) -> None:
    """Give the message to *user*."""
    head, host, sender = needed(b"DTLINE"), needed(b"HOST"), needed(b"SENDER")
    recipients = [complete(forward, host) for forward in user.forwards]

    def forward() -> None:
        if recipients:
            rewind()
            send_on(head, sender, recipients)

    if user.has_mailbox and user.enabled and user.directory:
        rewind()
        maildir.deliver(user.directory.rstrip(b"/") + b"/", needed(b"RPLINE") + head, MESSAGE, forward)
    else:
        forward()


def complete(address: bytes, host: bytes) -> bytes:
    """*address* with a host: *host*, or our own when it ends with an `@`."""
    if b"@" not in address:
        return address + b"@" + host
    return address + (control.value(b"me") or b"") if address.endswith(b"@") else address
