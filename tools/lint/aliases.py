"""What is wrong in the folder alias: where mail goes that belongs to no user."""

from __future__ import annotations

import os
import stat

from mta.home import account, plain
from mta.local import dotqmail
from mta.setup.plan import ALIASES
from supervise.errors import Temporary, reason
from tools.lint.access import may
from tools.lint.dotqmail import wrong_instructions
from tools.lint.mailboxes import alias_home, lacks
from tools.lint.settings import returns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Complaints, Found

FOLDER = b"alias/"


def complaints() -> Complaints:
    """What is wrong with the aliases."""
    for name in ALIASES:
        if lack := lacks(name):
            yield FOLDER + b".qmail-" + name, 0, b"missing; %s, so mail for %s bounces" % (lack, name)
    folder = alias_home()
    try:
        names = os.listdir(folder)
    except OSError as error:
        yield FOLDER, 0, b"cannot be read: " + reason(error)
        return
    for name in names:
        if name == b".qmail" or name.startswith(b".qmail-"):
            for at, what in wrong(folder + b"/" + name):
                yield FOLDER + name, at, what


def wrong(file: bytes) -> Found:
    """What is wrong with the .qmail *file* of alias."""
    name = os.path.basename(file)
    if name != name.lower():
        yield 0, b"a capital in the name, and every address is looked for in small letters"
    if b"." in name[1:]:
        yield 0, b"a dot in the name, and one in an address is looked for as a colon"
    try:
        found, holds = os.stat(file), dotqmail.read(file, 0)
    except OSError as error:
        yield 0, b"cannot be looked at: " + reason(error)
        return
    except Temporary as trouble:
        yield 0, trouble.line
        return
    if holds is None:
        yield 0, b"no file, so it does not count"
        return
    owner = account(b"alias")
    if found.st_uid not in {0, owner.uid}:
        yield 0, b"belongs to user %d, who can do everything that alias can" % found.st_uid
    if bits := found.st_mode & mask():
        yield 0, b"mode %04o: others may write it (%03o), so mail waits" % (stat.S_IMODE(found.st_mode), bits)
    if not plain() and not may(found, owner, os.R_OK):
        yield 0, b"mode %04o: alias may not read it, so mail waits" % stat.S_IMODE(found.st_mode)
    yield from returns(holds.content)
    yield from wrong_instructions(holds.content, holds.only_forward)


def mask() -> int:
    """The mode bits that a .qmail file must not have; of a bad control file another line tells."""
    try:
        return dotqmail.mask()
    except Temporary:
        return dotqmail.MASK
