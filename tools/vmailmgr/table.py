"""The table of a domain's users, a cdb: read it, or change it without losing what others change.

A change reads the whole table and writes it anew as TABLE.tmp, which then takes the place of the old one.  Who changes
something holds the lock on TABLE.lock meanwhile.
"""

from __future__ import annotations

import errno
import os

from supervise.errors import Temporary
from supervise.files import build, lock
from tools.vmailmgr.entry import Entry
from ucspi.cdb import Cdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class Table:
    """The table in the file *path*.

    >>> with table:  # nobody else changes it
    ...     table.put(entry)
    """

    def __init__(self, path: bytes) -> None:
        self.path = path

    def find(self, name: bytes) -> Entry | None:
        """The user *name*, in any case, or None, also when there is no table yet.

        Raises:
            Temporary: the table cannot be read, or is damaged.
        """
        data = self.look_up(name.lower()) if name else None
        return None if data is None else Entry.parse(name.lower(), data)

    def look_up(self, key: bytes) -> bytes | None:
        cdb = Cdb.open(self.path)
        if cdb is None:
            return None
        try:
            return cdb.get(key)
        finally:
            cdb.close()

    def must_exist(self) -> None:
        """Raise `Temporary` when there is no table: nobody's mail may bounce for that."""
        if not os.path.lexists(self.path):
            raise Temporary(b"unable to read " + self.path, OSError(errno.ENOENT, os.strerror(errno.ENOENT)))

    def records(self) -> list[tuple[bytes, bytes]]:
        """All names and records in their order; none when there is no table yet."""
        cdb = Cdb.open(self.path)
        if cdb is None:
            return []
        try:
            return list(cdb.records())
        finally:
            cdb.close()

    def entries(self) -> Iterator[Entry]:
        """All users in the table's order."""
        return (Entry.parse(name, data) for name, data in self.records())

    def __enter__(self) -> None:
        try:
            self.lock = lock(self.path + b".lock")
        except OSError as error:
            raise Temporary(b"unable to lock %s.lock" % self.path, error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.lock)

    def put(self, entry: Entry) -> None:
        """Have *entry* in the table, in the place of the one with its name or at the end; on disk when this returns."""
        records = self.records()
        new = (entry.name, entry.data())
        if any(key == entry.name for key, _ in records):
            self.write([new if key == entry.name else (key, data) for key, data in records])
        else:
            self.write([*records, new])

    def remove(self, name: bytes) -> None:
        """Have no user *name* any longer."""
        self.write([(key, data) for key, data in self.records() if key != name])

    def write(self, records: list[tuple[bytes, bytes]]) -> None:
        """Make the table these *records*."""
        from functools import partial

        from ucspi import cdb

        draft = self.path.removesuffix(b".cdb") + b".cdb.tmp"
        build(partial(cdb.write, mode=0o600), self.path, draft, records)
