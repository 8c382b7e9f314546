"""A table that is compiled of a text."""

from __future__ import annotations

import os

from mta.home import path
from supervise.errors import Temporary
from tools.lint.settings import LARGEST, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Complaints


def compiled(text: bytes, table: bytes, program: bytes, records: list[tuple[bytes, bytes]] | None) -> Complaints:
    """What is wrong with a *table*, a cdb, that *program* makes of *text*; both are names below the home.

    Args:
        records: what it should hold; None: that is not known.
    """
    from ucspi.cdb import Cdb

    mend = b"; run " + program
    written, made = changed(text), changed(table)
    if made is None:
        if written is not None:
            yield text, 0, b"does not count: %s is missing" % table + mend
        return
    if written is None:
        yield table, 0, b"there is no %s that it was made of" % text
    about = os.stat(path(table))
    if about.st_size > LARGEST:
        yield table, 0, too_large(about)
        return
    try:
        cdb: Cdb | None = Cdb.open(path(table))
        held = [] if cdb is None else sorted(cdb.records())
    except Temporary as trouble:
        yield table, 0, trouble.line + mend
        return
    if written is not None and records is not None and held != sorted(records):
        yield table, 0, b"does not hold what %s says" % text + mend
    elif written is not None and written > made:
        yield table, 0, b"older than " + text + mend


def changed(file: bytes) -> int | None:
    """When *file*, a name below the home, was changed, in nanoseconds; None: there is none."""
    try:
        return os.stat(path(file)).st_mtime_ns
    except OSError:
        return None
