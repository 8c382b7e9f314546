"""setlogins - make a database of users who fetch mail

Usage: setlogins logins.cdb logins.tmp

setlogins reads users from descriptor 0 and puts them into logins.cdb, where checkpassword-cdb looks for who wants to
log in. It writes logins.tmp first and renames that, so both must be on one file system; logins.cdb is at every moment
the old file or the new one, also when a line is wrong. Nobody but its owner may read it.

A line is a user: a name, the hash of the password as crypt(3) has it, uid, gid, and home folder:

    ann@dom.example:$y$j9T$...:5000:5000:/var/vmail/dom.example/ann
    bob@dom.example::5000:5000:/var/vmail/dom.example/bob

Upper and lower case do not differ in a name. Nobody logs in by a name whose hash is empty or begins with `*` or `!`;
loginpasswd gives it another. Blanks at the end of a line do not count, nor do empty lines and lines that begin with
`#`. No user has uid 0 or gid 0, and no name stands in two lines.

    umask 077; setlogins logins.cdb logins.tmp <logins

A home folder and its Maildir are made by hand, as that uid. Mail finds the way there by control/virtualdomains,
`dom.example:dom`, and a line for each user in users/assign, for qmail-newu:

    =dom-ann:ann:5000:5000:/var/vmail/dom.example/ann:::

Exit status:
    0    logins.cdb is new
    100  wrong usage, or a line is no user: which, and why, is said on descriptor 2
    111  a file cannot be read or written

See also: loginpasswd, checkpassword-cdb
"""

from __future__ import annotations

from mta.pop3 import logins
from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.fd import lines
from supervise.files import make


@command(b"setlogins", b"logins.cdb logins.tmp")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    make(logins.write, argv[1], argv[2], logins.compile(lines(0)))
    return 0
