"""maildirmake - make a Maildir

Usage: maildirmake name

maildirmake makes the folder name with the folders tmp, new and cur in it, all of
them open to their owner alone.

Exit status:
    111  name exists already, or cannot be made
    100  wrong usage
"""

import os

from mta.mailbox.maildir import make
from supervise.command import Argv, command
from supervise.errors import Usage


@command(b"maildirmake", b"name")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    os.umask(0o77)
    make(argv[1])
    return 0
