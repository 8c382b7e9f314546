"""What a home consists of: each folder and file with its owner, group and mode.

The originals' `hier` said the same once, in C.  Differences: there is no setuid program, so `bin` is a
link to the folder of the commands; `run` holds the socket of the submission server; `service` holds the
service directories.  In a plain user's home, the same pieces all belong to that user.
"""

from __future__ import annotations

import os
import sys

from mta.home import DEFAULT_GROUP, account, plain
from mta.queue.layout import places
from supervise.errors import Temporary

FOLDER, FILE, FIFO, LINK = b"folder", b"file", b"fifo", b"link"
ALIASES = (b"postmaster", b"mailer-daemon", b"root")  # addresses that every mail system must have


class Piece:
    """One folder, file, fifo or link of a home.

    Args:
        path: below the home; empty for the home itself.
        kind: FOLDER, FILE, FIFO or LINK.
        owner, group: a role (`qmailq`, `qmail`, ...) or `root`; an empty owner: whoever wrote it last,
            with whatever mode.
        mode: permission bits.
        size: bytes that a FILE must have, all zero at first; None when it holds text, which is not made here.
        target: what a LINK points at.
    """

    __slots__ = ("group", "kind", "mode", "owner", "path", "size", "target")

    def __init__(
        self,
        path: bytes,
        kind: bytes,
        owner: bytes,
        group: bytes,
        mode: int,
        size: int | None = None,
        target: bytes = b"",
    ) -> None:
        self.path, self.kind, self.owner, self.group = path, kind, owner, group
        self.mode, self.size, self.target = mode, size, target

    def uid(self) -> int:
        """The owner as a number in this instance."""
        return 0 if self.owner == b"root" and not plain() else account(self.owner).uid

    def gid(self) -> int:
        """The group as a number in this instance."""
        return os.getegid() if plain() else group_number(self.group)


def group_number(name: bytes) -> int:
    """The number of the group *name*.

    Raises:
        Temporary: there is none.
    """
    import grp

    try:
        return grp.getgrnam(os.fsdecode(name)).gr_gid
    except KeyError:
        raise Temporary(b"there is no group " + name + b"; qmail-setup --users makes it") from None


def commands_folder() -> bytes:
    """Where this installation keeps its commands: beside its interpreter, else where we were started from."""
    beside = os.path.dirname(sys.executable)
    return os.fsencode(
        beside if os.path.exists(beside + "/qmail-setup") else os.path.dirname(os.path.abspath(sys.argv[0]))
    )


def folders() -> list[Piece]:
    """The pieces outside the queue that every home has."""
    qmail = DEFAULT_GROUP
    return [
        Piece(b"", FOLDER, b"root", qmail, 0o755),
        Piece(b"control", FOLDER, b"root", qmail, 0o755),
        Piece(b"users", FOLDER, b"root", qmail, 0o755),
        Piece(b"bin", LINK, b"root", qmail, 0o777, target=commands_folder()),
        Piece(b"alias", FOLDER, b"alias", qmail, 0o2755),
        Piece(b"service", FOLDER, b"root", qmail, 0o755),
    ]


def written(names: list[bytes]) -> list[Piece]:
    """The pieces with text in them: control/me, rules, and the service directories *names*.

    The sticky bit of a service directory tells svscan that its log belongs to it.
    """
    pieces = [Piece(b"control/me", FILE, b"", b"", 0)]
    for name in names:
        service = b"service/" + name
        pieces += [
            Piece(service, FOLDER, b"root", DEFAULT_GROUP, 0o1755),
            Piece(service + b"/run", FILE, b"root", DEFAULT_GROUP, 0o755),
            Piece(service + b"/log", FOLDER, b"root", DEFAULT_GROUP, 0o755),
            Piece(service + b"/log/run", FILE, b"root", DEFAULT_GROUP, 0o755),
            Piece(service + b"/log/main", FOLDER, b"qmaill", b"nofiles", 0o755),
        ]
        if name == b"qmail-smtpd":
            pieces += [Piece(service + rules, FILE, b"", b"", 0) for rules in (b"/tcp.smtp", b"/tcp.smtp.cdb")]
    return pieces


def queue() -> list[Piece]:
    """The pieces of the queue and of submission, as `mta.queue.layout` has them."""
    return [
        Piece(place.path, place.kind, place.owner, place.group, place.mode, place.size if place.kind == FILE else None)
        for place in places()
    ]


def frame() -> list[Piece]:
    """The pieces of a home without any text in them, folders before what they contain."""
    return [*folders(), *queue()]


def pieces(names: list[bytes]) -> list[Piece]:
    """All pieces of a home with the service directories *names*, folders before what they contain."""
    return [*frame(), *written(names)]
