"""Who a local address belongs to: users/assign, and the cdb that is made of it.

Lines of users/assign, up to one that begins with a dot:

    =LOCAL:user:uid:gid:home:dash:ext:    exactly the address LOCAL
    +LOC:user:uid:gid:home:dash:pre:      every address that begins with LOC; what follows
                                          it, as the sender wrote it, is put after pre

Records of users/cdb, their data being the six fields from user to ext with NULs between them:

    !local NUL     of an `=` line, LOCAL in lower case
    !loc           of a `+` line, LOC in lower case
    (empty key)    the last characters of all LOC, each once: no other prefix needs a look

The exact address comes first, then the longest prefix.
"""

from __future__ import annotations

from mta.control import leading_number
from mta.home import path
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Table(Protocol):
        def get(self, key: bytes) -> bytes | None: ...


FIELDS = 6
BAD_FORMAT = b"bad format in users/assign"
NO_ID = (1 << 32) - 1  # what the system calls take for no id at all


class User:
    """Whose an address is: *name*, *uid*, *gid*, *home*, and the *dash* and *ext* of its .qmail file."""

    __slots__ = ("dash", "ext", "gid", "home", "name", "uid")

    def __init__(self, name: bytes, uid: int, gid: int, home: bytes, dash: bytes, ext: bytes) -> None:
        self.name, self.uid, self.gid, self.home, self.dash, self.ext = name, uid, gid, home, dash, ext

    @classmethod
    def parse(cls, data: bytes) -> User:
        """The user of six fields with NULs between them, or after them.

        Raises:
            ValueError: that is not what *data* holds.
        """
        fields = data.split(b"\0")
        if len(fields) < FIELDS:
            raise ValueError(data)
        name, uid, gid, home, dash, ext = fields[:FIELDS]
        ids = leading_number(uid, NO_ID), leading_number(gid, NO_ID)
        if max(ids) >= NO_ID:
            raise ValueError(data)
        return cls(name, *ids, home, dash, ext)

    def data(self) -> bytes:
        """The six fields, a NUL after each."""
        return b"%s\0%d\0%d\0%s\0%s\0%s\0" % (self.name, self.uid, self.gid, self.home, self.dash, self.ext)


def records(assign: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records of users/cdb for *assign*, the content of users/assign.

    Raises:
        Temporary: it has a line of no known form, or no line that begins with a dot.
    """
    wild = b""
    while not assign.startswith(b"."):
        line, end, assign = assign.partition(b"\n")
        if not end:
            raise Temporary(BAD_FORMAT)
        yield record(line)
        entry = line.partition(b":")[0]
        if entry.startswith(b"+") and entry[-1:] not in wild and len(entry) > 1:
            wild += entry[-1:]
    yield b"", wild


def record(line: bytes) -> tuple[bytes, bytes]:
    """The record of users/cdb for a *line* of users/assign.

    Raises:
        Temporary: it has no known form.
    """
    entry, *fields = line.split(b":", FIELDS + 1)
    if not entry or len(fields) <= FIELDS or b"\0" in line:
        raise Temporary(BAD_FORMAT)
    key = b"!" + entry[1:].lower()
    return key if entry.startswith(b"+") else key + b"\0", b"\0".join(fields[:FIELDS])


def assigned(local: bytes) -> User | None:
    """The user to whom users/cdb gives the address *local*, or None.

    Raises:
        Temporary: it cannot be read now, or is damaged.
        ValueError: what it says is malformed.
    """
    from ucspi.cdb import Cdb  # many have no users/cdb

    table: Cdb | None = Cdb.open(path(b"users", b"cdb"))
    if table is None:
        return None
    try:
        found = look_up(table, local)
    finally:
        table.close()
    return None if found is None else User.parse(found)


def look_up(table: Table, local: bytes) -> bytes | None:
    """The six fields of the user who has the address *local*, or None.

    Raises:
        Temporary: the table is damaged.
    """
    wild = table.get(b"")
    if wild is None:
        raise Temporary(b"users/cdb has no list of last characters")
    key = b"!" + local.lower()
    found = table.get(key + b"\0")
    if found is not None:
        return found
    for end in range(len(key), 0, -1):
        if end == 1 or key[end - 1] in wild:
            found = table.get(key[:end])
            if found is not None:
                return found + local[end - 1 :]
    return None
