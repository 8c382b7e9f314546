"""envuidgid - run a program with an account's numbers in its environment

Usage: envuidgid account child

envuidgid sets UID and GID to the user and group number of account and runs child,
which is a program and its arguments.  The process stays who it is: a program that
needs root for a moment, such as tcpserver, drops to these numbers itself.

Exit status:
    111  account is unknown, or child cannot be run
    100  wrong usage
    otherwise that of child

See also: setuidgid, tcpserver
"""

import os

from supervise.account import account_of
from supervise.command import Argv, Become, command
from supervise.errors import Usage


@command(b"envuidgid", b"account child")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    account = account_of(argv[1])
    os.environb[b"UID"] = b"%d" % account.pw_uid
    os.environb[b"GID"] = b"%d" % account.pw_gid
    raise Become(argv[2:])
