"""qmail-qstat - count the messages in the queue

Usage: qmail-qstat

qmail-qstat prints how many messages there are in the queue, and how many of
them qmail-send has not looked at yet.  A message that is on its way into the
queue is counted too.  You must be able to read the queue: be root, or a user
of the group qmail, or the owner of your own instance.

Exit status:
    0    counted
    111  the queue cannot be read

Environment:
    QMAILHOME  the home; /var/qmail by default

See also: qmail-qread, qmail-send
"""

from __future__ import annotations

import os

from mta.home import enter
from mta.queue import layout
from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import write_all


@command(b"qmail-qstat")
def main(argv: Argv) -> int:
    enter(b"queue")
    total, unprocessed = count(b"mess"), count(b"todo")
    write_all(1, b"messages in queue: %d\nmessages in queue but not yet preprocessed: %d\n" % (total, unprocessed))
    return 0


def count(name: bytes) -> int:
    """How many files there are of *name*.

    Raises:
        Temporary: a folder cannot be read.
    """
    total = 0
    for folder in layout.folders(name):
        try:
            with os.scandir(folder) as entries:
                total += sum(entry.is_file(follow_symlinks=False) for entry in entries)
        except OSError as error:
            raise Temporary(b"unable to read queue/" + folder, error) from None
    return total
