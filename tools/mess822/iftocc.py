"""iftocc - check whether a message was sent openly

Usage: iftocc [ okaddr ... ]

iftocc reads a message from descriptor 0 and says by its exit code whether RECIPIENT is in a To or Cc field. With
arguments it looks for these addresses instead. Upper and lower case do not differ. In a .qmail file,

    |condredirect me-blind except iftocc
    ./Maildir/

sends blind copies, which most messages of mailing lists are, to another address, and

    |bouncesaying 'I do not accept Bcc.' except iftocc
    ./Maildir/

refuses them. The line with the delivery is needed.

Exit status:
    0    one of the addresses is in To or Cc
    100  none is
    111  the message cannot be read

Environment:
    RECIPIENT  the envelope recipient, from qmail-local

See also: bouncesaying, condredirect, except, qmail-local
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from supervise.errors import PERMANENT
from tools.mess822.addresses import addresses
from tools.mess822.reading import header, values


@command(b"iftocc", b"[ okaddr ... ]")
def main(argv: Argv) -> int:
    wanted = {address.lower() for address in argv[1:] or [os.environb.get(b"RECIPIENT", b"")]}
    for value in values(header()[0], b"to", b"cc"):
        if any(is_address and text.lower() in wanted for is_address, text in addresses(value)):
            return 0
    return PERMANENT
