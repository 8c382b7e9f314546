"""qmail-pw2u - make users/assign from a password file

Usage: qmail-pw2u [ -/ohHuUC ] [ -cchar ] < /etc/passwd > users/assign

qmail-pw2u reads lines of the form of /etc/passwd and prints assignments for qmail-newu.  The user joe gets mail for
joe, with .qmail, and for joe-anything, with .qmail-anything.  The user alias, who must be there, gets what belongs to
nobody else.  Left out are root and everybody whose name has a capital letter.

Options:
    -o     leave out users whose home is not there or not theirs; the default
    -h     stop at a home that is not there, leave out one that is not its user's
    -H     do not look at homes
    -u -U  do not leave out names with capital letters; do
    -c c   the character c behind a name begins an extension; - by default.  Only its first character counts
    -C     no user has extensions
    -/     .qmail-/anything for extensions: their files are in a folder

Exit status:
    100  wrong usage
    111  there is no user alias, or none for a subuser, or something cannot be read; what was printed is no table then

Files:
    users/include    if there: users that are not in it are left out
    users/exclude    users in it are left out
    users/mailnames  lines user:name:name...: the user gets mail for these names in place of his own
    users/subusers   lines sub:user:pre: : mail for sub goes to user, with .qmail-pre
    users/append     more lines for users/assign, as they are

See also: qmail-newu, qmail-getpw, qmail-lspawn
"""

from __future__ import annotations

import os

from mta import control, home
from supervise.command import Argv, command
from supervise.errors import PERMANENT, Temporary, Usage
from supervise.fd import chunks, write_all
from supervise.files import slurp
from supervise.options import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS = b"alias"
PIECE = 8192  # bytes of the password file whose users are printed at once
SKIP, STOP, TRUST = b"o", b"h", b"H"  # what to do about homes: the letters of the options
UNREADABLE = b"unable to read input"


@command(b"qmail-pw2u", b"[ -/ohHuUC ] [ -cchar ]")
def main(argv: Argv) -> int:
    try:
        chosen, _ = options(argv, b"/ohHuUc:C")
    except Usage:  # which option is wrong has been said
        return PERMANENT
    if not os.path.isdir(home.home()):
        raise Temporary(b"unable to chdir")
    table = Table(chosen)
    for lines in password_lines():
        write_all(1, b"".join(map(table.user, lines)))
    if not table.has_alias:
        raise Temporary(b"unable to find alias user")
    subusers = b"".join(map(table.subuser, extra(b"subusers").split(b"\n")))
    write_all(1, subusers + extra(b"append") + b".\n")
    return 0


def password_lines() -> Iterator[list[bytes]]:
    """The lines of descriptor 0, as they come.

    Raises:
        Temporary: it cannot be read.
    """
    rest = b""
    try:
        for data in chunks(0, PIECE):
            *lines, rest = (rest + data).split(b"\n")
            yield lines
    except OSError:
        raise Temporary(UNREADABLE) from None
    yield [rest]


def listed(name: bytes) -> list[bytes] | None:
    """The lines of the list users/NAME, or None when there is none.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        content = slurp(home.path(b"users", name))
    except OSError:
        raise Temporary(b"unable to read controls") from None
    return None if content is None else control.significant(content)


def extra(name: bytes) -> bytes:
    """The content of users/NAME, nothing when there is no such file.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        return slurp(home.path(b"users", name)) or b""
    except OSError as error:
        raise Temporary(b"unable to read controls" if error.filename else UNREADABLE) from None


class Table:
    """What becomes of users, by the options *chosen* and the files in users.  Names in those files have no case.

    Attributes:
        has_alias: the user alias has been there.

    Raises:
        Temporary: a file cannot be read.
    """

    def __init__(self, chosen: list[tuple[bytes, bytes]]) -> None:
        letters = [letter for letter, _ in chosen]
        self.homes = last(letters, SKIP + STOP + TRUST, SKIP)
        self.capitals = last(letters, b"uU", b"U") == b"u"
        self.dash = b"-/" if b"/" in letters else b"-"
        self.breaking = b"-"
        for letter, value in chosen:
            if letter in (b"c", b"C"):
                self.breaking = value[:1]
        included, excluded = listed(b"include"), listed(b"exclude") or []
        self.included = None if included is None else {name.lower() for name in included}
        self.excluded = {name.lower() for name in excluded}
        entries = (line.partition(b":") for line in listed(b"mailnames") or [])
        self.names = {user.lower(): names for user, colon, names in entries if colon}
        self.users: dict[bytes, bytes] = {}
        self.has_alias = False

    def user(self, line: bytes) -> bytes:
        """The assignments for the user of a *line* of the password file.

        Raises:
            Temporary: there is no such home, or who knows, and that matters.
        """
        fields = line.split(b":")
        if b"\0" in line or len(fields) < 7:
            return b""
        name, _, uid, gid, _, folder = fields[:6]
        if not self.wanted(name, control.leading_number(uid), folder):
            return b""
        self.users[name.lower()] = account = b":%s:%s:%s:%s:" % (name, uid, gid, folder)
        made = b""
        if name == ALIAS:
            self.has_alias = True
            made += b"+%s%s::\n" % (account, self.dash)
        for mailname in self.names.get(name.lower(), name).split(b":"):
            if mailname:
                made += b"=%s%s::\n" % (mailname, account)
                made += self.extensions(mailname, account)
        return made

    def extensions(self, mailname: bytes, account: bytes, pre: bytes = b"") -> bytes:
        """The assignment for extensions of *mailname*, if there are any, with *pre* before them."""
        return b"+%s%s%s%s:%s:\n" % (mailname, self.breaking, account, self.dash, pre) if self.breaking else b""

    def wanted(self, name: bytes, uid: int, folder: bytes) -> bool:
        """Whether the user *name* gets mail.

        Raises:
            Temporary: as `user` does.
        """
        key = name.lower()
        if not uid or (not self.capitals and name != key):
            return False
        if (self.included is not None and key not in self.included) or key in self.excluded:
            return False
        if self.homes == TRUST:
            return True
        try:
            return os.stat(folder).st_uid == uid
        except OSError as error:
            if self.homes == STOP or not isinstance(error, FileNotFoundError):
                raise Temporary(b"unable to stat " + folder) from None
            return False

    def subuser(self, line: bytes) -> bytes:
        """The assignments for a *line* of users/subusers.

        Raises:
            Temporary: there is no such user.
        """
        fields = line.split(b":")
        if len(fields) < 3:
            return b""
        account = self.users.get(fields[1].lower())
        if account is None:
            raise Temporary(b"unable to find %s user for subuser" % fields[1])
        if len(fields) < 4:
            return b""
        return b"=%s%s%s:%s:\n" % (fields[0], account, self.dash, fields[2]) + self.extensions(
            fields[0], account, fields[2] + b"-"
        )


def last(letters: list[bytes], choice: bytes, default: bytes) -> bytes:
    """The last of *letters* that is one of *choice*, else *default*."""
    found = [letter for letter in letters if letter in choice]
    return found[-1] if found else default
