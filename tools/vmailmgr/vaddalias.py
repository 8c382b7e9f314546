"""vaddalias - add an alias to a virtual domain

Usage: vaddalias user destination ...

vaddalias adds user to the domain whose home HOME is, without mailbox and password: mail for user goes to each
destination, an address or another user of the domain. It is `vadduser -D -P -f destination ... user`, so as in the
original user gets an empty folder, in which nothing is delivered.

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; nothing is added

See also: vadduser, vchforwards
"""

from __future__ import annotations

from supervise.command import Argv, Become, command
from supervise.errors import Usage


@command(b"vaddalias", b"user destination ...", usage_code=1)
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    forwards = [word for destination in argv[2:] for word in (b"-f", destination)]
    raise Become([b"vadduser", b"-D", b"-P", *forwards, argv[1]])
