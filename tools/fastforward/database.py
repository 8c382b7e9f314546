"""The forwarding database: which instruction there is for an address, and whom it reaches in the end."""

from __future__ import annotations

import errno
import os
import stat

from supervise.errors import Temporary
from supervise.fd import read_all
from tools.fastforward import maillist
from tools.fastforward.instructions import COMMANDS, OWNER
from ucspi.cdb import Cdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = b"|", b"!"
LONGEST = 899  # bytes of a command that is no program; as the original, which passes longer ones over


class Database(Cdb):
    """A forwarding database open for reading."""

    @property
    def damage(self) -> Temporary:
        return Temporary(b"unable to read " + self.path, OSError(errno.EIO, os.strerror(errno.EIO)))

    def first(self, kind: bytes, recipient: bytes) -> bytes | None:
        """The data of the first record for the address that a message came to: its own, its host's, its user's.

        Args:
            kind: COMMANDS or OWNER.
        """
        found = (self.get(kind + target) for target in targets(recipient.lower()))
        return next((data for data in found if data is not None), None)

    def expand(self, data: bytes, run: Callable[[bytes], None]) -> list[bytes]:
        """The addresses that the commands in *data* forward to in the end, each once.

        Args:
            run: what to do with the command of a program, when we come to it.

        Raises:
            Temporary: a list or the database cannot be read; and what *run* raises.
        """
        reached: list[bytes] = []
        seen: set[bytes] = set()
        waiting = list(forwards(data, run))
        while waiting:
            command = waiting.pop()  # the last one first, so of two that are equal the later one has its place
            if command in seen:
                continue
            seen.add(command)
            if command.startswith(maillist.LISTS):
                waiting += forwards(read(command))
                continue
            inner = self.inner(command[1:])
            if inner is None:
                reached.append(command[1:])
            else:
                waiting += forwards(inner, run)
        return reached[::-1]

    def inner(self, address: bytes) -> bytes | None:
        """The commands for an *address* that a command forwards to; None when that one gets the message itself.

        So does an alias with an owner, who is to hear of bounces from its members.
        """
        target = address.lower()
        return self.get(COMMANDS + target) if self.get(OWNER + target) is None else None


def targets(recipient: bytes) -> Iterator[bytes]:
    """The targets that stand for a *recipient*, in the order in which they are looked for."""
    yield recipient
    user, at, host = recipient.rpartition(b"@")
    if at:
        yield at + host
        yield user + at


def forwards(data: bytes, run: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
    """The commands in *data* that forward; those that are programs are given to *run* on the way."""
    for command in maillist.members(data):
        if command.startswith(maillist.FIRST):
            if len(command) <= LONGEST:
                yield command
        elif run and command.startswith(PROGRAMS):
            run(command)


def read(name: bytes) -> bytes:
    """The content of the list *name*.

    Raises:
        Temporary: it cannot be read, or not everybody may read it.
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not os.fstat(fd).st_mode & stat.S_IROTH:
                raise Temporary(name + b" is not world-readable")
            return read_all(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise Temporary(b"unable to read " + name, error) from None
