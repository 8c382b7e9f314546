"""checkpassword - become the user whose name and password are right, and run a program

Usage: checkpassword prog ...

checkpassword reads from descriptor 3, to its end, at most 512 bytes: a name, a password and a
timestamp, each with a NUL behind it.  If the machine's password file has that name with that
password, checkpassword takes the user's groups, gid and uid, changes to the home folder, sets
USER, HOME and SHELL, and runs prog.

It is for servers that hear names and passwords, such as qmail-popup, and needs root to do its
work.  Other programs with this interface (https://cr.yp.to/checkpwd/interface.html) look
elsewhere for passwords, and take its place without a change to the server.  The timestamp is
for them; here it makes no difference, and so APOP, whose digest is none of the password alone,
does not work.

An account without a password, or with a locked one, is nobody's.

Exit status:
    1    no such name with that password, or more than 512 bytes
    2    there is no prog, or descriptor 3 does not have what it should
    111  the password file, descriptor 3, the user's rights, the home folder or prog is not to be had, which
         is described on descriptor 2

See also: qmail-popup, qmail-pop3d, setuidgid
"""

from __future__ import annotations

import os

from mta.pop3.passwords import account_with
from supervise import environment
from supervise.account import become
from supervise.command import Argv, Become, command
from supervise.errors import Temporary
from supervise.fd import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd

LOGIN = 3
LONGEST = 512  # bytes
UNACCEPTABLE, MISUSED = 1, 2


@command(b"checkpassword", b"prog ...")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        return MISUSED
    login = given()
    if len(login) > LONGEST:
        return UNACCEPTABLE
    if login.count(b"\0") < 2:
        return MISUSED
    name, password = login.split(b"\0")[:2]
    account = account_with(name, password)
    if account is None:
        return UNACCEPTABLE
    enter(account)
    raise Become(argv[1:])


def given() -> bytes:
    """What descriptor 3 has, which then is closed; one byte more than allowed stands for all of them.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        login = Reader(LOGIN).take(LONGEST + 1)
        os.close(LOGIN)
    except OSError as error:
        raise Temporary(b"unable to read descriptor 3", error) from None
    return login


def enter(account: pwd.struct_passwd) -> None:
    """Be the user of *account*, at home.

    Raises:
        Temporary: we cannot.
    """
    try:
        become(account.pw_uid, account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid))
    except OSError as error:
        raise Temporary(b"unable to become " + os.fsencode(account.pw_name), error) from None
    try:
        os.chdir(account.pw_dir)
    except OSError as error:
        raise Temporary(b"unable to switch to " + os.fsencode(account.pw_dir), error) from None
    environment.change(
        (name, os.fsencode(value))
        for name, value in ((b"USER", account.pw_name), (b"HOME", account.pw_dir), (b"SHELL", account.pw_shell))
    )
