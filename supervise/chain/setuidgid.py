"""setuidgid - run a program as another user

Usage: setuidgid account child

setuidgid becomes the user and the group of account, without other groups,
and then runs child, which is a program and its arguments.

Exit status:
    111  account is unknown, we may not become it, or child cannot be run
    100  wrong usage
    otherwise that of child
"""

import os

from supervise.account import account_of, become_group
from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Usage


@command(b"setuidgid", b"account child")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    account = account_of(argv[1])
    try:
        become_group(account.pw_gid)
    except OSError as error:
        raise Temporary(b"unable to setgid", error) from None
    try:
        os.setuid(account.pw_uid)
    except OSError as error:
        raise Temporary(b"unable to setuid", error) from None
    raise Become(argv[2:])
