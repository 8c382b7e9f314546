"""pgrphack - run a program in a session of its own

Usage: pgrphack child

pgrphack makes the process the leader of a new session, and so of a new process group
without a terminal, and runs child, which is a program and its arguments.  Signals from
a terminal no longer reach it, and what it sends to its own group reaches nobody else.
A process that already leads a group stays where it is.

Exit status:
    111  child cannot be run
    100  wrong usage
    otherwise that of child

See also: fghack, supervise
"""

import os

from supervise.command import Argv, Become, command
from supervise.errors import Usage


@command(b"pgrphack", b"child")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    try:
        os.setsid()
    except PermissionError:  # it leads a group already
        pass
    raise Become(argv[1:])
