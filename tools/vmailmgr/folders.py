"""Which folders of a domain are whose, however they are spelt: dots and links lead to the same place."""

from __future__ import annotations

import os
import stat

from supervise.errors import Temporary, passing
from tools.vmailmgr.settings import LOCAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tools.vmailmgr.entry import Entry
    from tools.vmailmgr.settings import Settings


class Folders:
    """The folders of some users of the domain in whose home we are.

    A folder has a place where its name is, and if that is a link, another where it leads.

    Args:
        settings: those of the domain.
        entries: the users.

    Raises:
        Temporary: it cannot be known now what a name leads to.
    """

    def __init__(self, settings: Settings, entries: Iterable[Entry]) -> None:
        self.parents: dict[bytes, bytes] = {}  # what the folders that names are in lead to
        self.users: dict[bytes, bytes] = {}  # each place: whose it is
        self.above: dict[bytes, bytes] = {}  # each folder above one: whose it is, or that of one of several
        boxes = settings.folder(b"user-dir", b"users")
        self.roots = {place for folder in (b".", boxes) for place in self.places(folder)}
        table = settings.table.removesuffix(b".cdb") + b".cdb"
        own = (LOCAL, table, table + b".tmp", table + b".lock", *map(settings.beside_users, (b"new.", b"backup.")))
        self.own = {place for path in own for place in self.places(path)}
        common = self.own.union(self.places(boxes), self.places(settings.table))
        self.common = common.union(*map(upwards, common))
        for entry in entries:
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """Let the folder of *entry*, if there is one, be that user's."""
        for place in self.places(entry.directory) if entry.directory else ():
            self.users[place] = entry.name
            for folder in upwards(place):
                self.above.setdefault(folder, entry.name)

    def objection(self, directory: bytes) -> bytes:
        """Why nobody else can have the folder *directory* alone, said as of an it; empty: one can."""
        for place in self.places(directory):
            above = list(upwards(place))
            if place in self.common:
                return b"has more in it than one mailbox"
            if not self.own.isdisjoint(above):
                return b"is in what the domain itself has"
            if self.roots.isdisjoint(above):
                return b"is outside the domain's home"
            owners = (self.users.get(place), self.above.get(place), *map(self.users.get, above))
            owner = next(filter(None, owners), None)
            if owner is not None:
                return b"is in use by user '%s'" % owner
        return b""

    def places(self, directory: bytes) -> set[bytes]:
        """The places of the folder *directory*."""
        try:
            parent, name = os.path.split(directory.rstrip(b"/") or directory)
            if name in (b"", b".", b".."):
                return {real(directory)}
            if parent not in self.parents:
                self.parents[parent] = real(parent or b".")
            place = os.path.join(self.parents[parent], name)
            return {place, real(place)} if is_link(place) else {place}
        except OSError as error:
            raise Temporary(b"unable to find the folder " + directory, error) from None


def real(path: bytes) -> bytes:
    """What *path* leads to, of which the end may be missing; what cannot be seen just now is not taken for that.

    Raises:
        OSError: that cannot be known.
    """
    try:
        return os.path.realpath(path, strict=True)
    except OSError as error:
        if passing(error):
            raise
        return os.path.realpath(path)


def is_link(path: bytes) -> bool:
    """Whether *path* is a link.

    Raises:
        OSError: that cannot be known.
    """
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError as error:
        if passing(error):
            raise
        return False


def upwards(place: bytes) -> Iterator[bytes]:
    """The folders above *place*, the nearest first."""
    while place != (parent := os.path.dirname(place)):
        yield parent
        place = parent
