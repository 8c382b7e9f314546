"""Who may read settings, and who may change them."""

from __future__ import annotations

import os
import stat

from mta.home import account, path, plain
from mta.setup.inspect import findings
from mta.setup.plan import folders
from supervise.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.home import Account
    from tools.lint.settings import Complaints, Folder

FOLDERS = (b"", b"control", b"users", b"alias")

SMTPD = (
    b"me smtpgreeting rcpthosts morercpthosts.cdb badmailfrom badmailto badrcptto databytes maxrcpt recipients"
    b" smtpcapabilities localiphost timeoutsmtpd trace"
).split()
REMOTE = b"me helohost outgoingip recipientsremote smtproutes timeoutconnect timeoutremote trace".split()
SEND = (
    b"me locals virtualdomains percenthack envnoathost concurrencylocal concurrencyremote queuelifetime bouncefrom"
    b" bouncehost doublebounceto doublebouncehost"
).split()
EVERYBODY = (  # for qmail-inject, qmail-qmqpc, qmail-local and their like, whoever runs them
    b"me defaultdomain defaulthost plusdomain idhost qmqpservers patrn rewrite scanner"
).split()
READERS = {b"qmaild": SMTPD, b"qmailr": REMOTE, b"qmails": SEND}


def complaints(*settings: Folder) -> Complaints:
    """What is wrong with owners and modes of the home's folders, and of the files in *settings*."""
    for piece in folders():
        if piece.path in FOLDERS:
            file = path(piece.path) if piece.path else path()
            yield from ((piece.path or file, 0, line.removeprefix(file + b": ")) for line in findings(piece))
    yield from of_files(*settings)


def of_files(*settings: Folder, readers: dict[bytes, list[bytes]] = READERS) -> Complaints:
    """What is wrong with owners and modes of the files in *settings*; *readers* are who reads which of them."""
    for file, name in ((folder.file(name), name) for folder in settings for name in folder.names):
        try:
            found = os.stat(path(file))
        except OSError as error:
            yield file, 0, b"cannot be looked at: " + reason(error)
            continue
        if stat.S_ISREG(found.st_mode):
            yield from ((file, 0, what) for what in rights(name, found, readers))


def rights(name: bytes, found: os.stat_result, readers: dict[bytes, list[bytes]]) -> Iterator[bytes]:
    """What is wrong with owner and mode of the file *name*."""
    mode = stat.S_IMODE(found.st_mode)
    yield from changeable(found)
    if plain():  # they are all one
        return
    for role, names in readers.items():
        if name in names and not may(found, account(role), os.R_OK):
            yield b"mode %04o: %s has to read it, and may not" % (mode, role)
    if name in EVERYBODY and not mode & stat.S_IROTH:
        yield b"mode %04o: everybody has to read it, and not everybody may" % mode


def changeable(found: os.stat_result) -> Iterator[bytes]:
    """By whom the file or folder that is *found* can be changed, and should not be."""
    if found.st_uid not in {0, os.geteuid() if plain() else 0}:
        yield b"belongs to user %d, who may change it" % found.st_uid
    if found.st_mode & stat.S_IWOTH:
        yield b"mode %04o: everybody may change it" % stat.S_IMODE(found.st_mode)


def may(found: os.stat_result, user: Account, wanted: int) -> bool:
    """Whether *user*, who has no groups but one, may do what is *wanted* (R_OK, W_OK, X_OK) with what is *found*."""
    shift = 6 if found.st_uid == user.uid else 3 if found.st_gid == user.gid else 0
    return not wanted & ~(found.st_mode >> shift)
