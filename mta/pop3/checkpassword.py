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

An account without a password, or with a locked one, is nobody's.  Nor does the time that a refusal
takes tell whether there is an account: a name without a password is tried on that of another user,
picked by the name, so that each method of hashing is as frequent among names that nobody has as among
the first 300 users of the shadow file.

Exit status:
    1    no such name with that password, or more than 512 bytes
    2    there is no prog, or descriptor 3 does not have what it should
    111  the password file, descriptor 3, the user's rights, the home folder or prog is not to be had, which
         is described on descriptor 2

See also: checkpassword-cdb, checkpassword-pam, checkvpw, qmail-popup, qmail-pop3d, setuidgid
"""

from __future__ import annotations

import os

from mta.pop3.passwords import account_with
from supervise import environment
from supervise.account import become
from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Trouble
from supervise.fd import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd

LOGIN = 3
LONGEST = 512  # bytes
UNACCEPTABLE, MISUSED = 1, 2


class Unacceptable(Trouble):
    """Nobody is let in by this name and password."""

    code = UNACCEPTABLE


class Misused(Trouble):
    """Whoever runs us does not know how."""

    code = MISUSED


@command(b"checkpassword", b"prog ...")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Misused
    name, password = name_and_password()
    account = account_with(name, password)
    if account is None:
        raise Unacceptable
    enter(account)
    raise Become(argv[1:])


def name_and_password() -> tuple[bytes, bytes]:
    """What descriptor 3 has to say; the timestamp makes no difference.

    Raises:
        Unacceptable: that is too long.
        Misused: it is no login.
        Temporary: it cannot be read.
    """
    login = given()
    if len(login) > LONGEST:
        raise Unacceptable
    if login.count(b"\0") < 2:
        raise Misused
    name, password = login.split(b"\0")[:2]
    return name, password


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


def enter(account: pwd.struct_passwd, at_home: bool = True) -> None:
    """Be the user of *account*, at home, or else where we are.

    Raises:
        Temporary: we cannot.
    """
    try:
        become(account.pw_uid, account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid))
    except OSError as error:
        raise Temporary(b"unable to become " + os.fsencode(account.pw_name), error) from None
    name, home, shell = map(os.fsencode, (account.pw_name, account.pw_dir, account.pw_shell))
    settle(name, home, shell, at_home)


def settle(name: bytes, home: bytes, shell: bytes, at_home: bool = True) -> None:
    """Have the environment say who we are, and be at home.

    Raises:
        Temporary: we cannot be there.
    """
    try:
        if at_home:
            os.chdir(home)
    except OSError as error:
        raise Temporary(b"unable to switch to " + home, error) from None
    environment.change([(b"USER", name), (b"HOME", home), (b"SHELL", shell)])
