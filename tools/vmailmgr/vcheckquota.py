"""vcheckquota - refuse a message for which a user's mailbox has no room

Usage: vcheckquota [ -a bytes ] [ -m file ]

vcheckquota compares the message on descriptor 0, and the Maildir of a user of a virtual domain, with the limits that
vadduser and vchattr have set. It is for the hook vdeliver-predeliver, an executable file in /etc/vmailmgr, or in
.vmailmgr in the domain's home, for instance with the lines `#!/bin/sh` and `exec vcheckquota`. It refuses

    a message larger than msgsize
    one with which there would be more than msgcount in the Maildir
    one with which the Maildir would have more than hardquota, or softquota if there is no hardquota
    one with which it would have more than softquota, if it is itself larger than 4096 bytes

Sizes are what things take on disk, in bytes. Folders of an IMAP server in the Maildir count, and in those, as in the
Maildir itself, what is in cur and new. Each message is looked at, which takes its time in large ones. What is not there
counts nothing; in the original a folder without cur or new has all mail deferred.

Options:
    -a, --soft-maxsize  bytes of the largest message beyond softquota, in place of 4096
    -m, --soft-message  link this file into the Maildir for each message beyond softquota, also for one refused: a
                        message that warns the user. The original does not mind if it is missing

Exit status:
    0    there is room, or no limit, or no folder
    1    wrong usage, which qmail-local takes for temporary
    100  there is none
    111  try again later; so also when a variable is missing or no number

Environment:
    MAILDIR, VUSER_MSGSIZE, VUSER_MSGCOUNT, VUSER_HARDQUOTA, VUSER_SOFTQUOTA  as vdeliver sets them; - is no limit

See also: vdeliver, vadduser, vchattr
"""

from __future__ import annotations

import os
import stat
import time

from mta.mailbox.listing import variable
from mta.mailbox.maildir import FOLDERS
from supervise.command import Argv, command, say
from supervise.errors import Permanent, Temporary, Trouble, Usage
from supervise.options import options
from tools.vmailmgr.settings import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = {b"soft-maxsize": b"a:", b"soft-message": b"m:"}
LIMITS = ("msgsize", "msgcount", "hardquota", "softquota")
SMALL = b"4096"  # bytes of a message that may still come beyond softquota
BLOCK = 512  # bytes; the unit of st_blocks

TOO_LARGE = b"Sorry, this message is larger than the current maximum message size limit.\n"
TOO_MANY = b"Sorry, the person you sent this message has too many messages stored in the mailbox\n"
FULL = b"Message would exceed virtual user's disk quota.\n"
NEARLY_FULL = (
    b"Sorry, your message cannot be delivered.\n"
    b"User's disk quota exceeded.\n"
    b"A small message will be delivered should you wish to inform this person.\n"
)


@command(b"vcheckquota", b"[ -a bytes ] [ -m file ]", usage_code=1)
def main(argv: Argv) -> int:
    chosen, words = options(argv, b"a:m:", WORDS)
    if words:
        raise Usage
    given = dict(chosen)
    try:
        small = number(given.get(b"a", SMALL))
    except ValueError:
        say(b"vcheckquota: invalid integer: " + given[b"a"])
        raise Usage from None
    try:
        check(small, given.get(b"m"))
    except Trouble as trouble:  # its words go into a bounce
        say(b"vcheckquota: Fatal: " + trouble.line)
        return trouble.code
    return 0


def check(small: int | None, warning: bytes | None) -> None:
    """Compare the message, and the Maildir with it, with the limits.

    Args:
        small: bytes that a message beyond softquota may have.
        warning: the file that is linked into the Maildir then.

    Raises:
        Permanent: there is no room.
        Temporary: whether there is cannot be known now.
    """
    maildir = variable(b"MAILDIR")
    if not maildir:
        return
    msgsize, msgcount, hardquota, softquota = map(limit, LIMITS)
    size = blocks(os.fstat(0))
    if beyond(size, msgsize):
        raise Permanent(TOO_LARGE)
    if (msgcount, hardquota, softquota) == (None, None, None):
        return
    messages, used = usage(maildir)
    if beyond(messages + 1, msgcount):
        raise Permanent(TOO_MANY)
    if beyond(used + size, softquota if hardquota is None else hardquota):
        raise Permanent(FULL)
    if beyond(used + size, softquota):
        if warning is not None:
            warn(maildir, os.path.abspath(warning))
        if beyond(size, small):
            raise Permanent(NEARLY_FULL)


def limit(what: str) -> int | None:
    """The user's limit of *what*; None: there is none.

    Raises:
        Temporary: it is not set, or no number.
    """
    name = b"VUSER_" + what.upper().encode()
    try:
        return number(variable(name))
    except ValueError:
        raise Temporary(name + b" is not a valid number") from None


def beyond(amount: int, limit: int | None) -> bool:
    return limit is not None and amount > limit


def usage(maildir: bytes) -> tuple[int, int]:
    """How many messages *maildir* and the folders in it have, and how many bytes all takes.

    Raises:
        Temporary: that cannot be known now.
    """
    messages = size = 0
    try:
        for found, is_message in each(maildir):
            size += blocks(found)
            messages += is_message
    except OSError as error:
        raise Temporary(b"unable to read " + maildir, error) from None
    return messages, size


def each(maildir: bytes) -> Iterator[tuple[os.stat_result, bool]]:
    """What counts of *maildir*, and whether each is a message.

    Raises:
        OSError: that cannot be known.
    """
    yield from ((found, False) for _, found in looked_at([maildir]))
    for path, found in looked_at(inside(maildir)):
        yield found, False
        if not stat.S_ISDIR(found.st_mode):
            continue
        if os.path.basename(path) in FOLDERS:
            folders = [path]
        else:
            folders = [path + b"/" + name for name in FOLDERS]
            yield from ((found, False) for _, found in looked_at(folders))
        for folder in folders:
            if not folder.endswith(b"/tmp"):
                for _, found in looked_at(inside(folder)):
                    if stat.S_ISREG(found.st_mode):
                        yield found, True


def inside(folder: bytes) -> list[bytes]:
    """The paths in *folder*; none if it is not there.

    Raises:
        OSError: they cannot be known.
    """
    try:
        return [folder + b"/" + name for name in os.listdir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def looked_at(paths: list[bytes]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Those of *paths* that are there, with what is known of them; readers move and delete meanwhile.

    Raises:
        OSError: that cannot be known.
    """
    for path in paths:
        try:
            yield path, os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            pass


def blocks(found: os.stat_result) -> int:
    """The bytes that a file takes on disk."""
    return found.st_blocks * BLOCK


def warn(maildir: bytes, warning: bytes) -> None:
    """Link the file *warning* into *maildir* as a new message.

    Raises:
        Temporary: it is not there, or that cannot be done.
    """
    try:
        os.stat(warning)
        while True:
            try:
                os.symlink(warning, b"%s/new/%d.%d.softquota-warning" % (maildir, time.time(), os.getpid()))
                return
            except FileExistsError:
                time.sleep(1)
    except OSError as error:
        raise Temporary(b"unable to link the soft quota warning message " + warning, error) from None
