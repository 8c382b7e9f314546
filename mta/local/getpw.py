"""qmail-getpw - find the user that a local address belongs to

Usage: qmail-getpw local

qmail-getpw prints the user's name, uid, gid and home, the dash and the extension, each with
a NUL after it.  The user is the longest beginning of local, up to a `-` or the whole, that
is a name in the password file, in lower case and of at most 31 bytes, provided that the
user is not root and owns the home.  All other addresses belong to alias, with local for an
extension.  qmail-lspawn runs it for addresses that are not in users/cdb.

In a plain user's instance only that user is found, and alias, whether or not the machine has it.  alias
lives where the password file says; in a home other than /var/qmail, in the folder alias of that home, so that several
instances on one machine are apart.

Exit status:
    0    done
    100  wrong usage
    115  a home cannot be looked at now
    116  there is no user alias

See also: qmail-lspawn, qmail-newu
"""

from __future__ import annotations

import os
import pwd

from mta import home
from mta.local.users import User
from supervise.account import find_account
from supervise.command import Argv, command
from supervise.errors import PERMANENT, passing
from supervise.fd import write_all

LONGEST = 31  # bytes of a user's name
HOME_UNKNOWN = 115
NO_ALIAS = 116


@command(b"qmail-getpw", b"local", again=True)
def main(argv: Argv) -> int:
    if len(argv) < 2:
        return PERMANENT
    try:
        user = find_user(argv[1])
    except OSError:
        return HOME_UNKNOWN
    if user is None:
        return NO_ALIAS
    write_all(1, user.data())
    return 0


def find_user(local: bytes) -> User | None:
    """Whose the address *local* is, or None: there is no user alias.

    Raises:
        OSError: it cannot be known now.
    """
    plain = plain_instance()
    return owner(local, plain) or alias(local, plain)


def plain_instance() -> bool:
    """Whether the instance is a plain user's, and we are that user.

    We are not root in either case: qmail-lspawn runs us as qmailp.
    """
    try:
        queue = os.stat(home.path(b"queue"))
    except OSError:
        return False
    if not home.plain() or queue.st_uid != os.geteuid():
        return False
    qmailq = find_account(b"qmailq")
    return qmailq is None or qmailq.pw_uid != queue.st_uid


def owner(local: bytes, plain: bool) -> User | None:
    """The user whose name *local* begins with, or None.

    Raises:
        OSError: it cannot be known now.
    """
    end = len(local)
    while end >= 0:
        if end <= LONGEST and local[end : end + 1] in (b"", b"-"):
            account = find_account(local[:end].lower())
            if account and may_own(account, plain):
                dash, ext = local[end : end + 1], local[end + 1 :]
                return user_of(account, dash, ext)
        end = local.rfind(b"-", 0, end) if end else -1
    return None


def may_own(account: pwd.struct_passwd, plain: bool) -> bool:
    """Whether mail may go to *account*: not to root, only to ourselves in a plain user's
    instance, and only to one who owns the home.

    Raises:
        OSError: the home cannot be looked at now.
    """
    if account.pw_uid == 0 or (plain and account.pw_uid != os.geteuid()):
        return False
    try:
        return os.stat(account.pw_dir).st_uid == account.pw_uid
    except OSError as error:
        if passing(error):
            raise
        return False


def alias(local: bytes, plain: bool) -> User | None:
    """Who gets what belongs to nobody; in a plain instance also what is addressed to alias."""
    if plain:
        named = local[:5].lower() == b"alias" and local[5:6] in (b"", b"-")
        dash, ext = (local[5:6], local[6:]) if named else (b"-", local)
        return User(b"alias", os.geteuid(), os.getegid(), home.path(b"alias"), dash, ext)
    account = find_account(b"alias")
    return user_of(account, b"-", local) if account else None


def user_of(account: pwd.struct_passwd, dash: bytes, ext: bytes) -> User:
    return User(os.fsencode(account.pw_name), account.pw_uid, account.pw_gid, folder_of(account), dash, ext)


def folder_of(account: pwd.struct_passwd) -> bytes:
    """Where *account* lives; alias has a folder in each of several homes on one machine."""
    if account.pw_name == "alias" and home.home() != home.DEFAULT:
        return home.path(b"alias")
    return os.fsencode(account.pw_dir)
