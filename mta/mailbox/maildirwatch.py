"""maildirwatch - show what is new in a Maildir

Usage: maildirwatch

maildirwatch clears the screen every 30 seconds and shows, for each message in the folder new of a Maildir, sender and
recipient of the envelope, the From field, and the beginning of subject and text.

Exit status:
    111  MAILDIR is not set, or the Maildir cannot be read

Environment:
    MAILDIR  the Maildir

See also: qbiff, maildir2mbox
"""

from __future__ import annotations

import os
import time

from mta.header import name_of
from mta.mailbox import listing
from mta.mailbox.reading import NEW
from mta.mailbox.summary import Summary, shown
from supervise.command import Argv, command
from supervise.errors import Permanent, Temporary
from supervise.fd import Reader, write_all

PAUSE = 30  # seconds
TEXT = 158  # bytes of subject and text: two lines
CLEAR, BOLD, PLAIN = b"\033[;H\033[;J", b"\033[1m", b"\033[0m"


@command(b"maildirwatch")
def main(argv: Argv) -> int:
    listing.enter()
    while True:
        new = listing.messages(NEW)
        write_all(1, CLEAR + b"".join(paragraph(message.name) for message in new))
        time.sleep(PAUSE)


def paragraph(path: bytes) -> bytes:
    """What is shown of the message *path*; nothing when somebody has taken it away.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        summary = Summary(Reader(fd), TEXT)
    except OSError:
        raise Temporary(b"trouble reading new message") from None
    except Permanent:  # its header is larger than we read
        return b"FROM ? TO <?>\n/\n\n"
    finally:
        os.close(fd)
    sender, recipient = (shown(last(summary.values(name)), b"?") for name in (b"return-path", b"delivered-to"))
    author = [field[:-1] for field in summary.fields if name_of(field) == b"from"]
    line = BOLD + shown(author[-1], b"/") + PLAIN + b"\n" if author else b""
    return b"FROM %s TO <%s>\n%s%s\n\n" % (sender, recipient, line, shown(summary.text, b"/"))


def last(values: list[bytes]) -> bytes:
    """The last of *values* that is not empty, without its line end; a question mark when there is none."""
    found = [value[:-1] for value in values if value]
    return found[-1] if found else b"?"
