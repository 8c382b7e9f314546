"""setmaillist - make a binary mailing list

Usage: setmaillist bin tmp

setmaillist reads a mailing list from descriptor 0 and puts it into bin, which fastforward reads when an
instruction names it. It writes tmp first and renames that, so both must be on one file system; bin is at every
moment the old list or the new one, also when a line is wrong.

Each line is one member: an address, which may have `&` in front, or the name of another binary list, which
begins with a dot or a slash. Addresses are complete ones of at most 800 bytes. Spaces and tabs at the end of
a line do not count, nor do empty lines and lines that begin with `#`.

    # all@ourdomain.example
    joe@ourdomain.example
    sue@elsewhere.example
    ./staff.bin

Everybody may read bin, whatever the umask.

Exit status:
    0    bin is new
    100  wrong usage
    111  a line is wrong, or a file cannot be read or written

See also: fastforward, newinclude, printmaillist, setforward
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.fd import lines
from supervise.files import make
from tools.fastforward import maillist


@command(b"setmaillist", b"list.bin list.tmp")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    make(maillist.write, argv[1], argv[2], maillist.compile(lines(0)))
    return 0
