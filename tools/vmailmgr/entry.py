"""A user of a virtual domain, and the record that the table of users has of one.

    0x02 (FLAG VALUE)* NUL password NUL mailbox NUL (forward NUL)* NUL personal NUL
    hardquota NUL softquota NUL msgsize NUL msgcount NUL ctime NUL expiry NUL

FLAG is a byte, 10 for has-mailbox and 8 for mailbox-enabled, and VALUE is 0 or 1.  Numbers are decimal, and `-` is no
limit; quotas are in bytes and times in seconds since 1970.  Older records are read, too: 0x01, which has no flags,
and `:password:destination`, in which a destination that begins with a dot or a slash is a mailbox.
"""

from __future__ import annotations

from supervise.errors import Temporary
from tools.vmailmgr.settings import number

ENABLED, HAS_MAILBOX = 8, 10  # flags
LIMITS = ("hardquota", "softquota", "msgsize", "msgcount", "ctime", "expiry")  # in the order of the record


class Entry:
    """A user.

    Attributes:
        password: its hash; `*` for none.
        directory: the mailbox, relative to the domain's home; empty: none.
        forwards: who else gets the user's mail.
        hardquota, softquota, msgsize: bytes; None, as for all numbers: no limit.
        msgcount: messages.
        ctime, expiry: when the user was made, and has its end; 0: unknown.
    """

    def __init__(
        self, name: bytes, password: bytes, directory: bytes, forwards: list[bytes], has_mailbox: bool
    ) -> None:
        self.name, self.password, self.directory, self.forwards = name, password, directory, forwards
        self.has_mailbox, self.enabled, self.personal = has_mailbox, True, b""
        self.hardquota: int | None = None
        self.softquota: int | None = None
        self.msgsize: int | None = None
        self.msgcount: int | None = None
        self.ctime: int | None = 0
        self.expiry: int | None = None

    @classmethod
    def parse(cls, name: bytes, data: bytes) -> Entry:
        """The user *name* with this record.

        Raises:
            Temporary: it is none.
        """
        try:
            return old(name, data[1:]) if data.startswith(b":") else current(name, data)
        except (ValueError, IndexError):
            raise Temporary(b"the table's record of %s is damaged" % name) from None

    def data(self) -> bytes:
        """The record."""
        flags = bytes((HAS_MAILBOX, self.has_mailbox and self.directory != b"", ENABLED, self.enabled))
        numbers = (text(getattr(self, name)) for name in LIMITS)
        fields = (self.password, self.directory, *self.forwards, b"", self.personal, *numbers)
        return b"\2" + flags + b"\0" + b"".join(field + b"\0" for field in fields)

    def variables(self) -> list[tuple[bytes, bytes]]:
        """What programs learn of the user."""
        limits = [(b"VUSER_" + name.upper().encode(), text(getattr(self, name))) for name in LIMITS]
        flags = [(b"VUSER_HAS_MAILBOX", self.has_mailbox), (b"VUSER_MAILBOX_ENABLED", self.enabled)]
        return [
            (b"VUSER", self.name),
            (b"MAILDIR", self.directory),
            (b"VUSER_PERSONAL", self.personal),
            *limits,
            *((name, b"%d" % flag) for name, flag in flags),
        ]

    def expired(self, now: float) -> bool:
        return self.expiry is not None and self.expiry < int(now)


def text(value: int | None) -> bytes:
    return b"-" if value is None else b"%d" % value


def current(name: bytes, data: bytes) -> Entry:
    """The user of a record with NULs.

    Raises:
        ValueError, IndexError: it is none.
    """
    has_mailbox = enabled = True
    at = 1
    if data[0] == 2:
        while data[at]:
            if data[at] == HAS_MAILBOX:
                has_mailbox = data[at + 1] != 0
            elif data[at] == ENABLED:
                enabled = data[at + 1] != 0
            else:
                raise ValueError(data)
            at += 2
        at += 1
    elif data[0] != 1:
        raise ValueError(data)
    password, directory, *rest = data[at:].split(b"\0")
    end = rest.index(b"")
    personal, *numbers, last = rest[end + 1 :]
    if last or len(numbers) != len(LIMITS):
        raise ValueError(data)
    entry = Entry(name, password, directory, rest[:end], has_mailbox and directory != b"")
    entry.enabled, entry.personal = enabled, personal
    for limit, value in zip(LIMITS, numbers, strict=True):
        setattr(entry, limit, number(value))
    return entry


def old(name: bytes, data: bytes) -> Entry:
    """The user of a record of the oldest kind, without the colon in front."""
    if b"\0" in data:
        raise ValueError(data)
    password, destination = data.split(b":", 1)
    if destination.startswith((b".", b"/")):
        return Entry(name, password, destination, [], True)
    forwards = destination.removeprefix(b"&").split(b",")
    return Entry(name, password, b"", [forward for forward in forwards if forward], False)
