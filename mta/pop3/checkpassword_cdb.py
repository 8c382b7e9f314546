"""checkpassword-cdb - become the user whose name and password are right in a cdb, and run a program

Usage: checkpassword-cdb logins.cdb prog ...

checkpassword-cdb reads a name, a password and a timestamp from descriptor 3, as checkpassword does, and looks for the
name in logins.cdb, which setlogins has made. If the password is the user's, checkpassword-cdb takes the uid and the
gid that stand there, and no other group, changes to the home folder, sets USER, HOME and SHELL (to /bin/sh), and runs
prog. So many users can have one uid, and none of them an account on this machine:

    tcpserver 0 pop3 qmail-popup pop.example checkpassword-cdb /etc/logins.cdb qmail-pop3d Maildir

It needs root, unless it already has that uid and that gid; then it has no way to leave other groups, and keeps those
that it was started with. It never takes uid 0 or gid 0. A change of the file counts from the next login on. As with
checkpassword, APOP does not work, and the time that a refusal takes does not tell whether the name exists; it is the
first 300 users of logins.cdb whose methods of hashing count.

Exit status:
    1    no such name with that password, or more than 512 bytes
    2    wrong usage, or descriptor 3 does not have what it should
    111  logins.cdb, descriptor 3, the rights, the home folder or prog is not to be had, which is described on
         descriptor 2

See also: setlogins, loginpasswd, checkpassword, qmail-popup
"""

from __future__ import annotations

import os

from mta.pop3.checkpassword import MISUSED, Unacceptable, name_and_password, settle
from mta.pop3.logins import Login, login_with
from supervise.account import become
from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Usage

SHELL = b"/bin/sh"


@command(b"checkpassword-cdb", b"logins.cdb prog ...", usage_code=MISUSED)
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    name, password = name_and_password()
    login = login_with(argv[1], name, password)
    if login is None:
        raise Unacceptable
    become_user(login)
    settle(name.lower(), login.home, SHELL)
    raise Become(argv[2:])


def become_user(login: Login) -> None:
    """Take uid and gid of *login* for good, and leave other groups, which who has both may not be allowed to.

    Raises:
        Temporary: we cannot.
    """
    try:
        become(login.uid, login.gid)
    except OSError as error:
        if isinstance(error, PermissionError) and (os.geteuid(), os.getegid()) == (login.uid, login.gid):
            return
        raise Temporary(b"unable to become uid %d, gid %d" % (login.uid, login.gid), error) from None
