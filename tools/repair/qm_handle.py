"""qmHandle - look at the messages in the queue, and delete some

Usage: qmHandle [ -lLRNcsaDV ] [ -mN ] [ -dN ] [ -fADDRESS ] [ -F RE ] [ -S RE ] [ -h RE ] [ -H RE ] [ -b RE ] [ -B RE ]
                [ -t RE ]

This is qmhandle under the name that it has had for longer.

Exit status:
    that of qmhandle

See also: qmhandle
"""

from __future__ import annotations

from supervise.command import Argv, command
from tools.repair.qmhandle import USAGE, handle


@command(b"qmHandle", USAGE)
def main(argv: Argv) -> int:
    return handle(argv)
