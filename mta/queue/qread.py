"""qmail-qread - list the messages in the queue

Usage: qmail-qread

qmail-qread prints a line for each message that qmail-send has taken on: when
it was queued, its number, its size in bytes, its sender in brackets, and
`bouncing` when some recipients have failed for good already.  Below that there
is a line for each recipient: local or remote, and the address; `done` in front
when it needs no more deliveries.

What is not a printable ASCII character is shown as an underscore.  A message
that qmail-send has not looked at yet is not listed; qmail-qstat counts those.
You must be root or qmails, or the owner of your own instance.

Exit status:
    0    listed; trouble with one message is told in its place
    111  the queue cannot be read; a line on descriptor 1 tells why

Environment:
    QMAILHOME  the home; /var/qmail by default

See also: qmail-qstat, qmail-send
"""

from __future__ import annotations

import os

from mta.date import header_date
from mta.home import path
from mta.queue import layout
from supervise.command import Argv, command
from supervise.errors import TEMPORARY, Temporary, reason
from supervise.fd import write_all
from supervise.files import slurp

CHANNELS = ((b"local", layout.local), (b"remote", layout.remote))
VISIBLE = bytes(byte if 32 <= byte <= 126 else ord("_") for byte in range(256))
DONE = {b"T": b"", b"D": b"  done"}
ZONE = len(b" -0000")


@command(b"qmail-qread")
def main(argv: Argv) -> int:
    try:
        enter_queue()
        for folder in layout.folders(b"info"):
            for number in numbers_in(folder):
                show(number)
    except Temporary as trouble:
        write_all(1, b"fatal: " + trouble.line + b"\n")
        return TEMPORARY
    return 0


def enter_queue() -> None:
    """Stand in the queue.

    Raises:
        Temporary: we cannot.
    """
    try:
        os.chdir(path(b"queue"))
    except OSError as error:
        raise Temporary(b"unable to chdir", error) from None


def numbers_in(folder: bytes) -> list[int]:
    """The messages with a file in *folder*.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        return sorted(int(name) for name in os.listdir(folder) if name.isdigit())
    except OSError as error:
        raise Temporary(b"unable to opendir " + folder, error) from None


def show(number: int) -> None:
    """Print message *number* and its recipients; one that has just gone, or is damaged, is trouble."""
    try:
        write_all(1, headline(number))
        for channel, name in CHANNELS:
            write_all(1, recipients(slurp(name(number)) or b"", channel))
    except OSError as error:
        write_all(1, b"warning: trouble with #%d: %s\n" % (number, reason(error)))


def headline(number: int) -> bytes:
    """The line of the message."""
    size = os.stat(layout.mess(number)).st_size
    bouncing = b" bouncing" if os.path.lexists(layout.bounce(number)) else b""
    date = header_date(int(os.stat(layout.info(number)).st_mtime))[:-ZONE]
    sender = (slurp(layout.info(number)) or b"")[1:].partition(b"\0")[0]
    return visible(b"%s GMT  #%d  %d  <%s> %s" % (date, number, size, sender, bouncing)) + b"\n"


def recipients(records: bytes, channel: bytes) -> bytes:
    """A line for each recipient in the *records* of a channel's file; a record without its NUL is none."""
    return b"".join(
        b"%s\t%s\t%s\n" % (DONE[record[:1]], channel, visible(record[1:]))
        for record in records.split(b"\0")[:-1]
        if record[:1] in DONE
    )


def visible(text: bytes) -> bytes:
    """*text* with underscores for what a terminal might not show, or might obey."""
    return text.translate(VISIBLE)
