"""Hosts that do not answer: the table `queue/lock/tcpto`, shared by all that deliver.

An attempt to connect that runs into its time limit costs a minute of a delivery slot.  So
an address whose last attempts all timed out is left alone for about an hour.

The file has 64 records of 16 bytes, as the original's programs read and write them:

    0-3    IPv4 address
    4      how many attempts in a row timed out, at most 10; 0: nothing is known, the record is free
    8-11   when the last one did, seconds since 1970, little-endian
    rest   0

An IPv6 address does not fit.  It is recorded under an address that no host can have, one of
240.0.0.0/4: four bits 1 and 28 bits of a hash.  Two that share a number share their fate for an hour.

A record is read and written in one piece.  Whoever changes the table holds a lock on the file;
who reads needs none.  A table that is missing or that we may not write is no error: then
nothing is remembered.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time

from mta.home import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RECORD = struct.Struct("<4sB3xI4x")
RECORDS = 64
ENOUGH = 2  # attempts that timed out before we leave an address alone
MOST = 10
SAME = 120  # seconds within which attempts that time out count as one


class Entry:
    """What is known of one address: *ip* (four bytes, see above), *failures* in a row, the last one's time *when*."""

    __slots__ = ("failures", "ip", "when")

    def __init__(self, ip: bytes, failures: int, when: int) -> None:
        self.ip, self.failures, self.when = ip, failures, when

    def unreachable(self) -> bool:
        """Whether to leave the address alone at the moment."""
        # As the original: processes differ, so that not all of them try the same host in the same second.
        pause = (60 + (os.getpid() & 31)) * 64
        return self.failures >= ENOUGH and 0 <= time.time() - self.when < pause

    def address(self) -> str:
        """The address as text; one of 240.0.0.0/4 stands for an IPv6 address."""
        return socket.inet_ntoa(self.ip)


def entries() -> list[Entry]:
    """The records of the table in their order, free ones too.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(table(), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read(fd)
    finally:
        os.close(fd)


def find(address: str) -> Entry | None:
    """What is known of *address*, or None."""
    try:
        found = entries()
    except OSError:
        return None
    ip = key(address)
    return next((entry for entry in found if entry.ip == ip), None)


def answered(address: str) -> None:
    """Note that *address* answers, if only to refuse: whatever was held against it is forgotten."""
    change(key(address), forgive)


def timed_out(address: str) -> None:
    """Note that an attempt to connect to *address* ran into its time limit."""
    change(key(address), blame)


def clear() -> None:
    """Forget everything.

    Raises:
        OSError: the table cannot be written.
    """
    fd = locked()
    try:
        os.pwrite(fd, bytes(RECORD.size * RECORDS), 0)
    finally:
        os.close(fd)


def table() -> bytes:
    """Where the table is."""
    return path(b"queue", b"lock", b"tcpto")


def key(address: str) -> bytes:
    """The four bytes under which *address* is recorded."""
    if ":" not in address:
        return socket.inet_aton(address)
    import hashlib  # 3 ms, and for IPv6 only

    digest = hashlib.blake2s(socket.inet_pton(socket.AF_INET6, address), digest_size=4).digest()
    return bytes((digest[0] | 0xF0, *digest[1:]))


def locked() -> int:
    """The table, open for reading and writing and locked until it is closed."""
    fd = os.open(table(), os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        os.close(fd)
        raise
    return fd


def read(fd: int) -> list[Entry]:
    """The records of the table *fd*; as many as are whole."""
    content = os.pread(fd, RECORD.size * RECORDS, 0)
    whole = len(content) - len(content) % RECORD.size
    return [Entry(*fields) for fields in RECORD.iter_unpack(content[:whole])]


def change(ip: bytes, how: Callable[[list[Entry], bytes], Entry | None]) -> None:
    """Let *how* change one of the records for *ip*, and write the one that it gives back."""
    try:
        fd = locked()
    except OSError:
        return
    try:
        known = read(fd)
        changed = how(known, ip)
        if changed:
            record = RECORD.pack(changed.ip, changed.failures, changed.when & 0xFFFFFFFF)
            os.pwrite(fd, record, known.index(changed) * RECORD.size)
    except OSError:
        pass
    finally:
        os.close(fd)


def forgive(known: list[Entry], ip: bytes) -> Entry | None:
    """The record of *ip* with nothing held against it."""
    for entry in known:
        if entry.ip == ip and entry.failures:
            entry.failures = 0
            return entry
    return None


def blame(known: list[Entry], ip: bytes) -> Entry | None:
    """The record of *ip* with one more failure; a new one takes the place that is least missed."""
    now = int(time.time())
    for entry in known:
        if entry.ip == ip:
            if entry.failures and 0 <= now - entry.when < SAME:
                return None
            entry.failures, entry.when = min(entry.failures + 1, MOST), now
            return entry
    free = next((entry for entry in known if not entry.failures), None)
    place = free or min(known, key=lambda entry: entry.when + entry.failures * 1024, default=None)
    if place:
        place.ip, place.failures, place.when = ip, 1, now
    return place
