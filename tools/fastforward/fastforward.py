"""fastforward - forward a message by a forwarding database

Usage: fastforward [ -nNpPdD ] cdb

fastforward is a line of a .qmail file, usually of .qmail-default. It reads a message from descriptor 0 and does with
it what the forwarding database cdb says for its recipient. setforward and newaliases make such files. A recipient for
whom it says nothing bounces.

Of user@host.example, user@host.example itself is looked for first, then @host.example, then user@; upper and lower
case do not differ. An address that this forwards to is looked for in turn, itself only; so is each member of a list.
Each address gets the message once, and a circle leads nowhere. When there is an owner for the recipient, bounces of
what is forwarded go there, unless the message is a bounce itself. An address that has an owner of its own is not
looked for any further: it gets the message.

Programs are run by sh when they are met, those after `!` with the lines `From `, Return-Path and Delivered-To in
front of the message. Lists must be readable for everybody, because who may write to one can have fastforward open
any file.

To handle all of this machine's addresses that are no user's by /etc/aliases, put into ~alias/.qmail-default

    | fastforward -d /etc/aliases.cdb

Options:
    -n  print what would be done on descriptor 2, and do nothing
    -N  do it (the default)
    -p  leave a recipient for whom cdb says nothing to the lines that follow in .qmail-default; end those
        for the others
    -P  bounce it (the default)
    -d  the recipient is $DEFAULT, or else $EXT, at $HOST
    -D  the recipient is $RECIPIENT (the default)

Exit status:
    0    done; or with -p, not for us
    99   with -p, done: the lines that follow do not count
    100  no such recipient, or a program said that this will never work, or the queue; or wrong usage
    111  try again later

Environment:
    RECIPIENT, DEFAULT, EXT, HOST  the recipient
    SENDER                         the envelope sender
    DTLINE                         the Delivered-To line, which goes in front of what is forwarded
    UFLINE, RPLINE                 the other two lines
    QMAILQUEUE                     the program that queues, instead of qmail-queue

See also: newaliases, newinclude, printforward, setforward, setmaillist
"""

from __future__ import annotations

import errno
import os

from mta.local.environment import NOBODY
from supervise.command import Argv, command, say
from supervise.errors import PERMANENT, Permanent, Temporary, Usage
from supervise.options import options
from tools.fastforward.database import Database
from tools.fastforward.instructions import COMMANDS, OWNER

ENOUGH = 99  # the exit code that ends a .qmail file
UNKNOWN = b"original envelope sender"
SAFE = bytes(byte if 32 <= byte < 127 else ord("_") for byte in range(256))


@command(b"fastforward", b"[ -nNpP ] data.cdb")
def main(argv: Argv) -> int:
    chosen, words = options(argv, b"nNpPdD")
    if not words:
        raise Usage
    wishes = {letter.lower(): letter.islower() for letter, _ in chosen}  # the last one counts
    database = opened(words[0])
    recipient = default_recipient() if wishes.get(b"d") else variable(b"RECIPIENT")
    owner, data = (database.first(kind, recipient) for kind in (OWNER, COMMANDS))
    if data is None and wishes.get(b"p"):
        return 0
    if data is None:
        say(b"Sorry, no mailbox here by that name. (#5.1.1)")
        return PERMANENT
    if wishes.get(b"n"):
        show(sender(owner), database.expand(data, lambda program: say(b"run " + program.translate(SAFE))))
    else:
        forward(sender(owner), database.expand(data, run))
    return ENOUGH if wishes.get(b"p") else 0


def opened(path: bytes) -> Database:
    """The database *path*."""
    database = Database.open(path)
    if database is None:
        raise Temporary(b"unable to read " + path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    return database


def default_recipient() -> bytes:
    """The recipient by what `default` in the name of the .qmail file stands for."""
    local = os.environb.get(b"DEFAULT", os.environb.get(b"EXT"))
    if local is None:
        raise Permanent(b"$DEFAULT or $EXT must be set")
    return local + b"@" + variable(b"HOST")


def variable(name: bytes) -> bytes:
    """The variable *name*.

    Raises:
        Permanent: it is not set.
    """
    value = os.environb.get(name)
    if value is None:
        raise Permanent(b"$%s must be set" % name)
    return value


def sender(owner: bytes | None) -> bytes:
    """The envelope sender of what is forwarded: the *owner*, if there is one and the message is no bounce."""
    given = os.environb.get(b"SENDER", UNKNOWN)
    return given if owner is None or given in NOBODY else owner


def run(command: bytes) -> None:
    """Run the program of a *command*.

    Raises:
        Temporary, Permanent: it says so, or it cannot be run.
    """
    from tools.fastforward import program  # most messages go without one

    head = program.lines() if command.startswith(b"!") else b""
    try:
        program.run(command[1:], head, b"sh", b"fastforward")
    except program.Crashed as crash:
        raise Temporary(crash.line + b" in " + command) from None


def show(sender: bytes, addresses: list[bytes]) -> None:
    """Print what would be forwarded."""
    if addresses:
        say(b"from <%s>" % sender.translate(SAFE))
    for address in addresses:
        say(b"to <%s>" % address.translate(SAFE))
    if not addresses:
        say(b"no forwarding")


def forward(sender: bytes, addresses: list[bytes]) -> None:
    """Send the message on to the *addresses*, if there are any.

    Raises:
        Temporary, Permanent: the queue does not take it.
    """
    if addresses:
        from mta.dotqmail.sending import send_on

        say(b"fastforward: qp %d" % send_on(os.environb.get(b"DTLINE", b""), sender, addresses))
