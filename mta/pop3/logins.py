"""Logins of users whom the machine itself does not know: a text file, and the cdb that is made of it.

A line of the text is a user; lines that are empty or begin with `#` say nothing:

    name:hash:uid:gid:home

The name is written in lower case or not, which makes no difference, and the hash as crypt(3) has it; when it is empty
or begins with `*` or `!`, nobody logs in by that name.  In the cdb, the key is the name in lower case, and the data
hash, uid, gid and home with NULs between them.  No user has uid 0 or gid 0.
"""

from __future__ import annotations

import errno
import os
from itertools import islice

from mta.pop3.passwords import SAMPLE, matches, tried_on
from supervise.errors import PRINTABLE, Permanent, Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODE = 0o600  # of the cdb: whoever has the hashes can try passwords
NO_ID = (1 << 32) - 1  # what the system calls take for no id at all
BLANK = b" \t\r\n"
LOCKED, METHOD = b"*!", b"$_"  # what hashes begin with, but for those of the oldest method, which are
OLDEST = 13  # bytes long


class Login:
    """A user: *uid*, *gid*, *home*, and the *hash* of the password.

    Raises:
        ValueError: there is something wrong with the *fields*, which are these four in the order of the file; what.
    """

    __slots__ = ("gid", "hash", "home", "uid")

    def __init__(self, fields: list[bytes]) -> None:
        if len(fields) != len(self.__slots__):
            raise ValueError(b"a user has a name, a hash, a uid, a gid and a home, with colons between them")
        self.hash, uid, gid, self.home = fields
        if self.hash and self.hash[0] not in LOCKED + METHOD and len(self.hash) != OLDEST:
            raise ValueError(b"this is no hash of a password")
        self.uid, self.gid = number(uid), number(gid)
        for id, kind in (self.uid, b"uid"), (self.gid, b"gid"):
            if not id:
                raise ValueError(kind + b" 0 is refused")
        if not self.home.startswith(b"/"):
            raise ValueError(b"a home begins with a slash")

    def data(self) -> bytes:
        """What the cdb has."""
        return b"%s\0%d\0%d\0%s" % (self.hash, self.uid, self.gid, self.home)


def number(text: bytes) -> int:
    """The uid or gid that *text* is.

    Raises:
        ValueError: it is none; what it is.
    """
    if text.isdigit() and len(text) <= 10 and int(text) < NO_ID:
        return int(text)
    raise ValueError(b"this is no uid or gid: " + text.translate(PRINTABLE))


def compile(lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The records of a text in *lines*: pairs of key and data.

    Raises:
        Permanent: a line is no user; which, and why.
    """
    found: dict[bytes, int] = {}
    for at, line in enumerate(lines, 1):
        text = line.rstrip(BLANK)
        if not text or text.startswith(b"#"):
            continue
        name, *fields = text.split(b":")
        name = name.lower()
        try:
            if not name or b"\0" in text:
                raise ValueError(b"a name is not empty, and no line has a NUL")
            if name in found:
                raise ValueError(b"%s has line %d already" % (name.translate(PRINTABLE), found[name]))
            login = Login(fields)
        except ValueError as wrong:
            raise Permanent(b"input: line %d: %s" % (at, *wrong.args)) from None
        found[name] = at
        yield name, login.data()


def write(name: bytes, draft: bytes, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Make the cdb *name*, which only its owner may read, by way of *draft*; otherwise as `ucspi.cdb.write`."""
    from ucspi import cdb

    cdb.write(name, draft, records, MODE)


def login_with(path: bytes, name: bytes, password: bytes) -> Login | None:
    """The user *name* of the cdb *path* who has this *password*, or None.

    The time that it takes does not tell whether the name exists.

    Raises:
        Temporary: the cdb cannot be read, or is damaged, or this machine cannot hash.
    """
    name = name.lower()
    login = find(path, name)
    stored = login.hash if login else b""
    tried = tried_on(name, stored, (data.partition(b"\0")[0] for _, data in first_records(path)))
    return login if matches(password, tried) and tried == stored else None


def first_records(path: bytes) -> list[tuple[bytes, bytes]]:
    """The first records of the cdb *path*, `SAMPLE` of them at most, as far as it can be read."""
    from ucspi.cdb import Cdb

    try:
        table = Cdb.open(path)
        if table is None:
            return []
        try:
            return list(islice(table.records(), SAMPLE))
        finally:
            table.close()
    except Temporary:
        return []


def find(path: bytes, name: bytes) -> Login | None:
    """The user *name*, in lower case, of the cdb *path*, or None.

    Raises:
        Temporary: the cdb cannot be read, or is damaged.
    """
    from ucspi.cdb import Cdb

    table = Cdb.open(path)
    if table is None:
        raise Temporary(b"unable to read " + path, OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
    try:
        data = table.get(name)
    finally:
        table.close()
    try:
        return None if data is None else Login(data.split(b"\0"))
    except ValueError as wrong:
        raise Temporary(
            b"%s: the record of %s is damaged: %s" % (path, name.translate(PRINTABLE), *wrong.args)
        ) from None


def with_hash(content: bytes, name: bytes, hash: bytes) -> bytes:
    """The text *content* with *hash* as that of the user *name*.

    Raises:
        Permanent: there is no such user.
    """
    lines = content.split(b"\n")
    for at, line in enumerate(lines):
        user, colon, rest = line.partition(b":")
        if colon and user.lower() == name.lower() and not user.startswith(b"#"):
            lines[at] = user + b":" + hash + b"".join(rest.partition(b":")[1:])
            return b"\n".join(lines)
    raise Permanent(b"there is no line for " + name.translate(PRINTABLE))
