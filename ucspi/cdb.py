"""Constant databases: look up keys, write whole files.

Format (https://cr.yp.to/cdb/cdb.txt), all numbers 32 bits, little-endian:

    2048 bytes   256 pairs, the position and the number of slots of each hash table
    records      length of key, length of data, key, data; in the order they were given
    tables       slots, each the hash of a key and the position of its record (0: free),
                 twice as many as there are entries

A key is in table `hash % 256`, in slot `hash // 256` modulo the number of slots, or in
one of those after it, before the first free one.  Keys may repeat; the first record counts.

Files are written with pure-cdb.  Reading has a few lines of its own: a server opens a cdb
for every connection and looks up one key, for which pure-cdb's reader, which unpacks all
256 pairs, takes 89 microseconds and this one 8, whatever the size of the file.  It reads by
`pread` and not by `mmap`, so a file that somebody cuts short under a daemon is an error and
not a SIGBUS.
"""

from __future__ import annotations

import errno
import io
import os
import struct
from array import array

from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.files import announced, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

HEADER = 2048
PAIR = struct.Struct("<II")
PIECE = 1 << 20  # bytes of a new file that are kept in memory
SLOTS = 16  # read at a time: most searches end within the first few
SCANNED = 1 << 18  # bytes of a file that are looked through in less time than a few dozen searches take
# For a path and a text, whether the version of the file that was asked mentions it; None: nobody knows.
MENTIONS: dict[tuple[bytes, bytes], tuple[tuple[int, ...], bool | None]] = {}


class Cdb:
    """A cdb open for reading."""

    __slots__ = ("fd", "hash", "header", "path", "size", "version")

    def __init__(self, fd: int, path: bytes) -> None:
        from cdblib import djb_hash  # not for those who have no cdb to read

        self.hash: Callable[[bytes], int] = djb_hash
        self.fd, self.path = fd, path
        about = os.fstat(fd)
        self.size, self.version = about.st_size, identity(about)
        self.header = self.read(HEADER, 0)

    @classmethod
    def open(cls, path: bytes) -> Self | None:
        """Open the cdb *path*; None when there is no such file.

        Raises:
            Temporary: it cannot be read, or is no cdb.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Temporary(b"unable to read " + path, error) from None
        try:
            return cls(fd, path)
        except BaseException:
            os.close(fd)
            raise

    def get(self, key: bytes) -> bytes | None:
        """The data of the first record of *key*, or None when there is none.

        Raises:
            Temporary: the file cannot be read, or is damaged.
        """
        wanted = self.hash(key)
        table, count = PAIR.unpack_from(self.header, (wanted & 255) * 8)
        if table < HEADER:  # no table lies there, not even an empty one: a file of zeros has no keys to miss
            raise self.damage
        if not count:
            return None
        start = (wanted >> 8) % count
        for slot, end in ((start, count), (0, start)):
            while slot < end:
                some = min(SLOTS, end - slot)
                for found, position in PAIR.iter_unpack(self.read(some * 8, table + slot * 8)):
                    if not position:
                        return None
                    if found == wanted:
                        size, length = PAIR.unpack(self.read(8, position))
                        if size == len(key):
                            record = self.read(size + length, position + 8)
                            if record.startswith(key):
                                return record[size:]
                slot += some
        return None

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """All pairs of key and data, in the order in which they were given.

        Raises:
            Temporary: the file cannot be read, or is damaged.
        """
        end, _ = PAIR.unpack_from(self.header)  # the first table follows the records
        if end < HEADER:
            raise self.damage
        at = HEADER
        while at < end:
            size, length = PAIR.unpack(self.read(PAIR.size, at))
            record = self.read(size + length, at + PAIR.size)
            at += PAIR.size + len(record)
            if at > end:
                raise self.damage
            yield record[:size], record[size:]

    def mentions(self, text: bytes, if_small: bool = False) -> bool:
        """False: no record contains *text*, so a search for keys that do is not worth while.

        A small file is looked through at once, a large one, unless *if_small*, for a process that asks about it again,
        and neither twice.
        """
        version, found = MENTIONS.get((self.path, text), (None, None))
        asked_again = version == self.version
        if found is None or not asked_again:
            end, _ = PAIR.unpack_from(self.header)  # the first table follows the records
            found = self.scan(text, end) if end <= SCANNED or (asked_again and not if_small) else None
            MENTIONS[self.path, text] = self.version, found
        return found is not False

    def scan(self, text: bytes, end: int) -> bool:
        """Whether *text* is in the records, which reach to the position *end*."""
        more = len(text) - 1
        parts = (self.read(min(SCANNED + more, end - at), at) for at in range(HEADER, end - more, SCANNED))
        return end < HEADER or any(text in part for part in parts)

    def read(self, size: int, position: int) -> bytes:
        """The *size* bytes at *position*, no fewer.

        Raises:
            Temporary: the file cannot be read, or is damaged.
        """
        try:
            if position + size <= self.size:  # else a damaged length could ask for gigabytes
                data = os.pread(self.fd, size, position)
                if len(data) == size:
                    return data
        except OSError as error:
            raise Temporary(b"unable to read " + self.path, error) from None
        raise self.damage

    @property
    def damage(self) -> Temporary:
        """What is raised when the file is damaged."""
        return Temporary(b"unable to read " + self.path, OSError(errno.EPROTO, os.strerror(errno.EPROTO)))

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)


class Hash(int):
    """A hash that is never false: pure-cdb takes a slot with a false one for a free one, and would lose its record."""

    def __bool__(self) -> bool:
        return True


def write(name: bytes, draft: bytes, records: Iterable[tuple[bytes, bytes]], mode: int = 0o644) -> None:
    """Make the cdb *name*, by way of *draft*: the whole new file, or what was there before.

    Args:
        records: pairs of key and data; what *records* raises leaves the old file alone.
        mode: the new file's, less the umask.

    Raises:
        OSError: *draft* cannot be made (its `filename`), cannot be written (none), cannot
            be renamed to *name* (`filename2`), or has grown over 4 GiB (EFBIG).
    """
    import cdblib

    with announced(name, draft, mode) as fd:
        content = Content(fd)
        writer = cdblib.Writer(content)
        writer.hash_key = lambda key: (key, cdblib.djb_hash(key))
        writer._unordered = [Entries() for _ in range(256)]
        try:
            for key, data in records:
                writer.put(key, data)
            writer.finalize()
        except struct.error:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
        content.spill()


class Content(io.BytesIO):
    """A file as pure-cdb's writer wants one, which keeps a piece in memory and writes it when the next begins."""

    def __init__(self, fd: int) -> None:
        self.fd, self.begin = fd, 0

    def tell(self) -> int:
        here = super().tell()
        if here > PIECE:
            self.spill()
            return self.begin
        return self.begin + here

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        self.spill()
        self.begin = os.lseek(self.fd, position, whence)
        return self.begin

    def spill(self) -> None:
        """Write the piece."""
        content = self.getvalue()
        write_all(self.fd, content)
        self.begin += len(content)
        super().seek(0)
        self.truncate()


class Entries:
    """The entries of a hash table: pairs of a hash and the position of its record, in 8 bytes each."""

    def __init__(self) -> None:
        self.packed = array("Q")

    def append(self, entry: tuple[int, int]) -> None:
        number, position = entry
        if position >> 32:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self.packed.append(number << 32 | position)

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[tuple[Hash, int]]:
        return ((Hash(entry >> 32), entry & 0xFFFFFFFF) for entry in self.packed)
