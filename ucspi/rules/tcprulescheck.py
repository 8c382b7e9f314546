"""tcprulescheck - show which rule applies to a connection

Usage: tcprulescheck rules.cdb

tcprulescheck looks up the rule that tcpserver would follow, and prints the rule's
address, the variables that it sets, and whether the connection is allowed or denied.

Environment:
    TCPREMOTEIP    the client's address, 0.0.0.0 if it is not set
    TCPREMOTEHOST  its name, if set
    TCPREMOTEINFO  what its ident server says, if set

Exit status:
    0    it is shown
    100  wrong usage
    111  rules.cdb cannot be read

See also: tcprules, tcpserver
"""

import errno
import os

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.fd import write_all
from ucspi.cdb import Cdb
from ucspi.rules.rules import find, unpack


@command(b"tcprulescheck", b"rules.cdb")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    cdb = Cdb.open(argv[1])
    if cdb is None:
        raise Temporary(b"unable to read " + argv[1], FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    ip = os.environb.get(b"TCPREMOTEIP", b"0.0.0.0")
    found = find(cdb, ip, os.environb.get(b"TCPREMOTEHOST"), os.environb.get(b"TCPREMOTEINFO"))
    cdb.close()
    write_all(1, b"default:\nallow connection\n" if found is None else report(*found))
    return 0


def report(key: bytes, data: bytes) -> bytes:
    """The rule *key* in words."""
    allowed, settings = unpack(data)
    lines = [b"rule %s:" % key, *(b"set environment variable " + setting for setting in settings)]
    lines += [b"allow connection" if allowed else b"deny connection", b""]
    return b"\n".join(lines)
