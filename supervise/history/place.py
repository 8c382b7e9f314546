"""Where the logs of services are."""

from __future__ import annotations

import os

from supervise.errors import Temporary
from supervise.history.directory import CURRENT, old_logs
from supervise.tree.servicedir import scanned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.history.directory import Complain

USUAL = b"log/main"  # the log directory of a service
DEPTH = 3  # folders below a service's log in which others are looked for


class Places:
    """The log directories that are asked for, numbered as they are found.

    `awaited` says that services are there whose logs are not, or that others may come.

    Args:
        words: what stands for them, or nothing for all services.
        names: takes the name of each that is found.
        complain: is called with one line about each word that stands for nothing.
    """

    def __init__(self, words: list[bytes], names: list[bytes], complain: Complain) -> None:
        self.words, self.names, self.complain = words, names, complain
        self.awaited = not self.words
        self.taken: set[bytes] = set()

    def new(self) -> list[tuple[int, bytes]]:
        """Number and path of those that have not been found before."""
        found = []
        for word in self.words or self.services():
            try:
                place = find(word)
            except NoLogs as trouble:
                self.awaited = True
                if self.words:
                    self.complain(trouble.line)
                continue
            except Temporary as trouble:
                self.complain(trouble.line)
                continue
            path = os.path.realpath(place.folder)
            if path not in self.taken:
                self.taken.add(path)
                found.append((len(self.names), place.folder))
                self.names.append(place.folder if place.name in self.names else place.name)
        return found

    def services(self) -> list[bytes]:
        """All services, as far as they can be found."""
        try:
            return all_services()
        except Temporary as trouble:
            self.complain(trouble.line)
            return []


class NoLogs(Temporary):
    """A service is there, but no logs of it, perhaps not yet."""


class Place:
    """A log directory.

    Args:
        name: of the service.
        folder: the directory.
    """

    __slots__ = ("folder", "name")

    def __init__(self, name: bytes, folder: bytes) -> None:
        self.name, self.folder = name, folder


def all_services() -> list[bytes]:
    """The services in the folder that svscan watches.

    Raises:
        Temporary: there are none, there is no such folder, or it cannot be read.
    """
    folder = scanned()
    if folder is None:
        raise Temporary(b"no folder of services here: name one, or set SVDIR")
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith(b"."))
    except OSError as error:
        raise Temporary(b"unable to read " + folder, error) from None
    found = [path for name in names if os.path.isdir(path := os.path.join(folder, name))]
    if not found:
        raise Temporary(b"there are no services in " + folder)
    return found


def find(word: bytes) -> Place:
    """The logs that *word* means: a log directory, a service directory, or the name of a service.

    Raises:
        NoLogs: what it means has none.
        Temporary: it means nothing, several directories could be meant, or they cannot be looked at.
    """
    words = [word]
    if b"/" not in word and not word.startswith(b".") and (folder := scanned()):
        words.append(os.path.join(folder, word))
    there = [each for each in words if os.path.isdir(each)]
    if not there:
        raise Temporary(b"there is no service or directory " + word)
    for each in there:
        if place := look_at(each):
            return place
    raise NoLogs(b"no logs in " + there[-1])


def look_at(folder: bytes) -> Place | None:
    """The logs in *folder*, which is a log directory or a service directory, or None.

    Raises:
        Temporary: several directories could be meant, or they cannot be looked at.
    """
    path = os.path.abspath(folder)
    try:
        usual = os.path.join(folder, USUAL)
        if has_logs(usual):
            return Place(os.path.basename(path), usual)
        if has_logs(folder):
            return Place(service_of(path), folder)
        if os.path.basename(path) == b"log":  # the service that is the log of another
            return look_at(os.path.join(folder, b".."))
        found = list(below(os.path.join(folder, b"log"), DEPTH))
    except OSError as error:
        raise Temporary(b"unable to read " + os.fsencode(error.filename or folder), error) from None
    if len(found) > 1:
        raise Temporary(b"several log directories in %s: name one of %s" % (folder, b", ".join(found)))
    return Place(os.path.basename(path), found[0]) if found else None


def has_logs(folder: bytes) -> bool:
    """Whether *folder* is a log directory; between two logs it has no current."""
    try:
        return os.path.lexists(os.path.join(folder, CURRENT)) or bool(old_logs(folder))
    except (FileNotFoundError, NotADirectoryError):
        return False


def below(folder: bytes, depth: int) -> Iterator[bytes]:
    """The log directories below *folder*, *depth* folders down."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        inner = os.path.join(folder, name)
        if not os.path.isdir(inner) or name == b"supervise":
            continue
        if has_logs(inner):
            yield inner
        elif depth > 1:
            yield from below(inner, depth - 1)


def service_of(path: bytes) -> bytes:
    """The name of the service whose log directory is *path*, below the service that writes it; else its own."""
    above = os.path.dirname(path)
    if os.path.basename(above) == b"log" and os.path.exists(os.path.join(above, b"run")):
        return os.path.basename(os.path.dirname(above))
    return os.path.basename(path)
