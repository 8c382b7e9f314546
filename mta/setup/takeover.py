"""Take over the home of an older qmail: its settings, and its queue with every message in it.

The old home is only read.  Its qmail-send must not run, nor ours: while we are at work we hold the locks of both, so
neither can start.  What each step has done is noted in our queue's folder `taken` (`mta.setup.adopt`), so the same
command may be run again after a crash, or when more has come into the old queue: nothing is taken twice.
"""

from __future__ import annotations

import os
import stat

from mta.home import USERS, enter, path
from mta.queue import layout
from mta.queue.queue import acting_as
from mta.setup.adopt import Taken
from mta.setup.delivery import NAME
from mta.setup.inspect import claim
from mta.setup.oldqueue import KINDS, Broken, OldQueue
from mta.showctl import is_known
from supervise.account import find_account
from supervise.errors import Temporary, reason
from supervise.fd import copy
from supervise.files import announced, lock, rename, slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = (b"control", b"users", b"alias")
DRAFT = b".taking"  # the name of a file or folder until it is what it should be; no Maildir reader looks at it
LONGEST = 4000  # bytes of a path that the system takes


def refuse_strangers(old: bytes) -> None:
    """Root takes no home over that others made than root and the users of qmail: they could lead it anywhere.

    Raises:
        Temporary: it is such a one; the text names the folder.
    """
    if os.geteuid():
        return
    trusted = {0} | {account.pw_uid for role in USERS if (account := find_account(role))}
    for folder in folders_of(old):
        about = os.lstat(folder)
        if about.st_uid not in trusted or (stat.S_ISLNK(about.st_mode) and about.st_uid):
            what = b"%s belongs to uid %d, and not to root or a user of qmail" % (folder, about.st_uid)
            raise Temporary(what + b": root does not take over what others may have laid there")


def folders_of(old: bytes) -> Iterator[bytes]:
    """The folders of the home *old* that are there, those of its queue included; links to folders too."""
    yield old
    for part in (*SETTINGS, b"queue"):
        if os.path.lexists(old + b"/" + part):
            yield old + b"/" + part
    for kind in (*KINDS, b"lock"):
        folder = old + b"/queue/" + kind
        if os.path.isdir(folder):
            yield folder
            yield from (entry.path for entry in os.scandir(folder) if entry.is_dir() or entry.is_symlink())


def stand_still(old: bytes) -> int:
    """Keep the qmail-send of the home *old* from starting; the descriptor that does.

    Raises:
        Temporary: it runs, or *old* is no home that we can take over.
    """
    for part in (b"", *SETTINGS, b"queue"):
        if same(old + b"/" + part, path(part)):
            raise Temporary(path(part).rstrip(b"/") + b" cannot be taken over by itself")
    if (os.path.realpath(path()) + b"/").startswith(os.path.realpath(old) + b"/"):
        raise Temporary(path() + b" lies within " + old + b", which is only to be read")
    mutex = old + b"/queue/" + layout.SENDMUTEX
    try:
        return claim(mutex)
    except BlockingIOError:
        raise Temporary(b"qmail-send is running in %s; stop it, and what brings mail in there" % old) from None
    except OSError as error:
        raise Temporary(old + b" is no home with a queue: unable to open " + mutex, error) from None


def same(one: bytes, other: bytes) -> bool:
    """Whether both names lead to the same folder."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def be_alone() -> int:
    """Keep our own qmail-send from starting; the descriptor that does.

    Raises:
        Temporary: it runs.
    """
    try:
        return lock(path(b"queue", layout.SENDMUTEX), wait=False)
    except BlockingIOError:
        service = path(b"service", b"qmail-send")
        raise Temporary(b"qmail-send is running in %s; first: svc -d %s" % (path(), service)) from None


# -- settings ------------------------------------------------------------------------------------


def take_settings(old: bytes) -> list[bytes]:
    """Copy control, users and alias from *old*, each of them once; a line for each file that is left out.

    Raises:
        Temporary: one of them cannot be read, or there is no room, or the like.
    """
    left: list[bytes] = []
    enter(b"queue")
    with Taken() as taken:
        for part in SETTINGS:
            source, target = old + b"/" + part, path(part)
            if part in taken.keys or not os.path.isdir(source):
                continue
            owner = os.stat(target)
            with acting_as(owner.st_uid, owner.st_gid):  # nobody can lead us where that user could not go
                if not os.access(source, os.R_OK | os.X_OK, effective_ids=True):
                    raise Temporary(b"unable to read " + source)
                left += copy_tree(source, target)
            taken.done(part)
    return left


def differences() -> list[bytes]:
    """What a home that was taken over may do otherwise, or should not do any longer, a line each."""
    lines = []
    if not os.path.lexists(path(b"control", b"rcpthosts")):
        lines.append(path(b"control", b"rcpthosts") + b": missing, as there: SMTP takes mail for any host")
    if not os.path.lexists(path(b"control", NAME)):
        rest = b": missing: mail of users without a .qmail file goes into ./Maildir/; see --delivery"
        lines.append(path(b"control", NAME) + rest)
    unread = [name for name in sorted(os.listdir(path(b"control"))) if not is_known(name)]
    return lines + [path(b"control", name) + b": no program here reads this file" for name in unread]


def copy_tree(source: bytes, target: bytes) -> Iterator[bytes]:
    """Copy what is in *source* and not yet in *target*; a line for each file that stays as it is.

    What root copies is root's; what is copied for the user alias, that user's.

    Raises:
        Temporary: there is no room, or the like.
    """
    folders = [(source, target)]
    while folders:
        yield from copy_folder(*folders.pop(), folders)


def copy_folder(source: bytes, target: bytes, folders: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The same for what is right in *source*; the folders there are added to *folders*, with their copies."""
    try:
        names = sorted(os.listdir(source))
    except OSError as error:
        yield source + b": left out: " + reason(error)
        return
    draft = target + b"/" + DRAFT
    if os.path.lexists(draft):  # a kill left it
        (os.rmdir if os.path.isdir(draft) else os.unlink)(draft)
    for name in names:
        old, new = source + b"/" + name, target + b"/" + name
        if max(len(old), len(new) + len(DRAFT)) >= LONGEST:
            yield old + b": left out: too deep"
            continue
        about = os.lstat(old)
        if os.path.lexists(new) and not alike(old, new):
            yield new + b": kept: differs from " + old
        elif stat.S_ISDIR(about.st_mode):
            if not os.path.lexists(new):
                os.mkdir(draft, 0o700)
                give(draft, about)
                rename(draft, new)
            folders.append((old, new))
        elif os.path.lexists(new):
            continue
        elif stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(old), new)
        elif stat.S_ISREG(about.st_mode):
            try:
                copy_file(old, new, draft)
            except Unreadable as trouble:
                yield old + b": left out: " + trouble.args[0]
        else:
            yield old + b": left out: neither file nor folder nor link"


class Unreadable(Exception):
    """A file of the old home cannot be read; the reason."""


def copy_file(old: bytes, new: bytes, draft: bytes) -> None:
    """Copy a file by way of *draft*; it appears whole, with mode, times and, for root, group of the *old* one."""
    try:
        source = os.open(old, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(reason(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise Unreadable(b"no file any more")
        with announced(new, draft, 0o600) as target:
            copy(source, target)
            give(target, os.fstat(source))
    except OSError as error:
        raise Temporary(b"unable to copy " + old, error) from None
    finally:
        os.close(source)


def give(file: int | bytes, about: os.stat_result) -> None:
    """Let *file* have the mode and the times of *about*, and its group if we are root.

    What root copies, the settings, is root's from now on, and nobody else may write it.
    """
    mode = stat.S_IMODE(about.st_mode)
    if os.geteuid() == 0:
        os.chown(file, 0, about.st_gid)
        mode &= 0o755
    os.chmod(file, mode)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def alike(old: bytes, new: bytes) -> bool:
    """Whether both are folders, or files with the same in them, or links to the same; what cannot be read is not."""
    kinds = {stat.S_IFMT(os.lstat(file).st_mode) for file in (old, new)}
    try:
        if kinds == {stat.S_IFLNK}:
            return os.readlink(old) == os.readlink(new)
        return kinds == {stat.S_IFDIR} or (kinds == {stat.S_IFREG} and slurp(old) == slurp(new))
    except OSError:
        return False


# -- the queue -----------------------------------------------------------------------------------


def take_queue(old: bytes) -> tuple[int, list[bytes]]:
    """Make the messages in the queue of *old* ours; how many, and a line for each that is left there.

    Raises:
        Temporary: the queue cannot be read, or there is no room, or the like; the command may be run again.
    """
    folder = old + b"/queue"
    try:
        queue = OldQueue(folder)
    except OSError as error:
        raise Temporary(b"unable to read " + folder, error) from None
    enter(b"queue")
    count, left = 0, [file + b": belongs to no message: left there" for file in queue.strangers]
    with Taken() as taken:
        for message in queue.messages:
            try:
                count += taken.adopt(message)
            except Broken as broken:
                left.append(b"%s: message %d: %s: left there" % (folder, message.number, broken.line))
            except OSError as error:
                raise Temporary(b"unable to take over message %d" % message.number, error) from None
    return count, left
