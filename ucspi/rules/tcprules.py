"""tcprules - compile rules for connections

Usage: tcprules rules.cdb rules.tmp

tcprules reads rules from descriptor 0 and puts them into rules.cdb, where tcpserver
and tcprulescheck look them up. It writes rules.tmp first and renames that, so both must
be on one file system; rules.cdb is at every moment the old file or the new one, also
when the rules are wrong, and tcpserver needs no restart.

A rule is one line: an address, a colon, `allow` or `deny`, and variables to set:

    joe@1.2.3.4:deny
    1.2.3.4:allow
    =mail.example.org:allow,RELAYCLIENT=""
    192.168.0-3.:allow,RELAYCLIENT="",GREETDELAY="0"
    127.:allow,RELAYCLIENT=""
    10.0.0.0/8:allow
    2001:db8::/32:allow
    fe80::allow
    =.example.net:deny
    =:allow
    :allow,RBLSMTPD="-unknown host"

They are listed in the order in which they are looked for; the first one found counts.
An address ends at the first colon before `allow` or `deny`. A hyphen between numbers
makes a range. 10.1.2.3/8 is the network 10.0.0.0/8; one that cannot be, like 10.0.0.0/33,
is named in a warning, and nobody's rule.
The byte after `NAME=` quotes the value. Lines that are empty or begin
with `#` are ignored. Of two rules for one address the first counts.

Exit status:
    0    rules.cdb is new
    100  wrong usage, or a line is no rule
    111  a file cannot be read or written

See also: tcp-rules, tcprulescheck, tcpserver
"""

from __future__ import annotations

from supervise.command import Argv, command, say
from supervise.errors import Usage
from supervise.fd import chunks
from supervise.files import make
from ucspi import cdb
from ucspi.rules.rules import compile


@command(b"tcprules", b"rules.cdb rules.tmp")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    make(cdb.write, argv[1], argv[2], compile(chunks(0), lambda line: say(b"tcprules: warning: " + line)))
    return 0
