"""unixcat - print what comes from a socket in the file system

Usage: unixcat socket

unixcat connects to the socket at the path socket and copies all that it receives to
descriptor 1.  It sends nothing.

Exit status:
    0    all has been copied
    1    we cannot connect, or reading or writing failed

See also: unixclient, unixserver
"""

from __future__ import annotations

from supervise.command import Argv, command, say
from supervise.fd import copy
from ucspi.descriptors import READING
from ucspi.unix.connect import connect
from ucspi.unix.failure import CODE, Failed, step


@command(b"unixcat", b"socket", usage_code=CODE)
def main(argv: Argv) -> int:
    try:
        connect(argv[1] if len(argv) > 1 else b"")
        step(b"copy", lambda: copy(READING, 1))
    except Failed as failure:
        say(failure.line)
        return CODE
    return 0
