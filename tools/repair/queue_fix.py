"""queue-fix - repair a queue, such as one that was copied to another file system

Usage: queue-fix [ -i | -N ] queuedir

queue-fix makes the folders and files that the queue in queuedir lacks, so it can make one from nothing, and sets
owners and modes.  A message whose number is not the inode of its text gets that number, with all its files; a file that
lies in the wrong part of a folder goes to the right one, whatever the number of parts was, and parts that are empty
then and should not be there go.  Each of these is a line on descriptor 1, and so is, after `warning: `, what is wrong
and cannot be repaired: what belongs to no message, a message in no legal state, a file that has names outside the
queue.  Nothing of that is ever removed, written over or made somebody else's.

Of a message in todo that moves, what qmail-send had begun to write goes: it would begin anew in any case.

qmail-send must not run, and cannot start while queue-fix is at work.  Nothing should bring mail in meanwhile: stop the
services qmail-send, qmail-smtpd, and whatever else takes mail by SMTP, QMTP or QMQP or runs qmail-inject; and
qmail-queued, by which users submit: what they try meanwhile is refused for now.  Root's programs queue mail without
it.  The same holds from before a queue is copied, or its folder exchanged for another, until queue-fix is done:

    svc -d -wd /service/qmail-smtpd /service/qmail-queued /service/qmail-send
    mv /var/qmail/queue /var/qmail/queue.old
    cp -a /mnt/queue /var/qmail/queue
    queue-fix /var/qmail/queue
    svc -u /service/qmail-send /service/qmail-queued /service/qmail-smtpd

When queue-fix was killed, run it again.  Until then messages may lie in queuedir/moving; a qmail-send that is started
first delivers the others and does not see these.

Run by root in a folder of root's, it makes the queue that of the qmail users; in a folder of another user, that user's.

Options:
    -i  ask on descriptor 0 before each action; an answer that begins with y, or an empty line, is yes
    -N  only print what would be done

Differences from the original: queue-fix refuses while qmail-send runs.  Its lines are those of qmail-setup and
qmail-qsanity.  With -i it asks before each action, not once for each kind.

Exit status:
    0    done; warnings do not count
    100  wrong usage
    111  it cannot be done now, or qmail-send is running

See also: qmail-qsanity, qmail-setup, qmail-send, qmail-queued, svc
"""

from __future__ import annotations

import os
import stat

from mta.home import step_down
from mta.queue import layout
from mta.queue.qread import visible
from mta.setup.adopt import held
from mta.setup.inspect import differences, hold, make
from mta.setup.messages import message_file
from mta.setup.oldqueue import KINDS
from mta.setup.plan import FIFO, FOLDER, Piece, queue
from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.fd import Reader, write_all
from supervise.options import options
from tools.repair.found import Found, Message, illegal
from tools.repair.renumber import Moving, candidates, remove_part, settle
from tools.repair.rest import hold_mutex

FIRST = (b"", b"lock", layout.SENDMUTEX)  # what it takes to have the lock


@command(b"queue-fix", b"[ -i | -N ] queuedir")
def main(argv: Argv) -> int:
    found, words = options(argv, b"iN")
    letters = dict(found)
    if len(words) != 1 or not words[0] or len(letters) > 1:
        raise Usage
    os.environb[b"QMAILHOME"] = os.path.dirname(os.path.abspath(words[0]))
    os.umask(0o077)
    step_down()
    Repair(words[0], b"i" in letters, b"N" in letters).all()
    write_all(1, b"queue-fix finished...\n")
    return 0


class Repair:
    """One run in the folder *queue*; it may have to *ask* before each action, or only *tell* of it."""

    def __init__(self, queue: bytes, ask: bool, tell: bool) -> None:
        self.queue, self.ask, self.tell = queue.rstrip(b"/") or b"/", ask, tell
        self.answers = Reader(0)

    # -- talking -----------------------------------------------------------------------------
    def shown(self, file: bytes) -> bytes:
        """*file* of the queue as a user finds it."""
        return self.queue + b"/" + file if file else self.queue

    def may(self, line: bytes) -> bool:
        """Print what is to be done; whether it may be."""
        write_all(1, visible(line) + (b" -- do it (Y/n)? " if self.ask else b"\n"))
        if not self.ask:
            return not self.tell
        answer = self.answers.line()
        return answer is not None and answer[:1] in (b"y", b"Y", b"\n")

    def warn(self, line: bytes) -> None:
        """Print what cannot be done."""
        write_all(1, visible(b"warning: " + line) + b"\n")

    # -- doing -------------------------------------------------------------------------------
    def all(self) -> None:
        """Repair what can be repaired."""
        pieces = frame()
        if not self.enter(pieces[0]):
            for piece in pieces[1:]:
                self.may(self.shown(piece.path) + b": missing")
            return
        for piece in pieces:
            refuse_other(piece)
        for piece in pieces[1 : len(FIRST)]:
            if not os.path.lexists(piece.path):
                self.mend(piece)
        mutex = be_alone(self.shown(layout.SENDMUTEX), self.tell)
        for piece in pieces:
            self.mend(piece, again=piece.path in FIRST)
        if not self.tell:
            require(pieces)
        self.messages(Found())
        if mutex >= 0:
            os.close(mutex)

    def enter(self, piece: Piece) -> bool:
        """Stand in the queue; False when there is none yet, and we are only to tell."""
        folder = os.path.abspath(self.queue)
        if not os.path.lexists(folder):
            if not os.path.isdir(os.path.dirname(folder)):
                raise Temporary(b"unable to make %s: there is no %s" % (folder, os.path.dirname(folder)))
            if self.may(self.shown(piece.path) + b": missing"):
                make(piece, folder)
            elif self.tell:
                return False
        try:
            if os.path.islink(folder):
                if os.lstat(folder).st_uid not in (0, os.geteuid()):
                    raise Temporary(folder + b" is somebody else's link")
                folder = os.path.realpath(folder)
            fd = hold(folder)
            os.fchdir(fd)
            os.close(fd)
        except OSError as error:
            raise Temporary(b"unable to switch to " + folder, error) from None
        return True

    def mend(self, piece: Piece, names: int = 1, again: bool = False) -> None:
        """Put *piece* right, a file with so many *names*; *again*: what is missing has been told of."""
        wrong, mendable = look(piece, names)
        if not wrong or (again and wrong == [b": missing"]):
            return
        line = self.shown(piece.path) + b";".join(wrong)
        if not mendable:
            self.warn(line)
        elif (self.tell or above(piece)) and self.may(line):
            look(piece, names, mend=True)

    def messages(self, found: Found) -> None:
        """Put the messages right: owners and modes, then numbers, then what is left."""
        self.owners(found)
        movers, stays = candidates(found)
        for line in stays:
            self.warn(line)
        moved = self.numbers(movers, found)
        self.parts(found, moved)
        for file in found.strangers:
            self.warn(self.shown(file) + b": belongs to no message")
        for message in (*found.moving, *(one for _, one in sorted(found.messages.items()))):
            if line := illegal(message):
                self.warn(line)

    def owners(self, found: Found) -> None:
        """Give each file of a message its owner and mode."""
        for message in (*found.moving, *(one for _, one in sorted(found.messages.items()))):
            for kind in KINDS:
                if file := message.files.get(kind):
                    try:
                        inode = os.lstat(file).st_ino
                    except FileNotFoundError:  # a submitter has given up
                        continue
                    self.mend(message_file(kind, file), found.names[inode])

    def numbers(self, movers: list[Message], found: Found) -> list[Message]:
        """Move those of *movers* that can be, and may be, to their numbers; those that were."""
        for ask in (True, False):
            movers, stays = settle(movers, found)
            for line in stays:
                self.warn(line)
            if ask:
                refused = [one for one in movers if not self.may(step(one)) and not self.tell]
                movers = [one for one in movers if one not in refused]
        if not self.tell and (movers or os.path.lexists(layout.MOVING)):
            with Moving() as moving:
                moving.move(movers)
        return movers

    def parts(self, found: Found, moved: list[Message]) -> None:
        """Remove the parts that should not be there and are empty when the messages in *moved* have left."""
        left = {file for one in moved for file in one.files.values()} | {file for one in moved for _, file in one.left}
        for folder, inside in sorted(found.parts.items()):
            if inside <= left and self.may(self.shown(folder) + b": an empty part too many"):
                remove_part(folder)
            elif not inside <= left:
                self.warn(self.shown(folder) + b": a part too many, and not empty")


def step(message: Message) -> bytes:
    """The line of what becomes of *message*."""
    if message.number == message.inode:
        return b"message %d: goes to its place" % message.number
    return b"message %d: becomes %d" % (message.number, message.inode)


# -- pieces --------------------------------------------------------------------------------------


def frame() -> list[Piece]:
    """What a queue has from the start, with paths below it; what it takes to have the lock comes first."""
    pieces = [piece for piece in queue() if piece.path.partition(b"/")[0] == b"queue"]
    for piece in pieces:
        piece.path = piece.path.partition(b"/")[2]
    return sorted(pieces, key=lambda piece: piece.path not in FIRST)


def look(piece: Piece, names: int = 1, mend: bool = False) -> tuple[list[bytes], bool]:
    """What is wrong with *piece*, to be put behind its name, and whether it can be mended; with *mend*, it is.

    No link is followed.  A file with more than *names* names is also somewhere else, and stays as it is.
    """
    folder, name = os.path.split(piece.path)
    try:
        with held(folder or b".") as parent:
            file = parent + b"/" + (name or b".")
            try:
                fd = hold(file)
            except FileNotFoundError:
                if mend:
                    make(piece, file)
                return [b": missing"], True
            try:
                about = os.fstat(fd)
                if stat.S_ISREG(about.st_mode) and about.st_nlink > names:
                    return [b": left as it is: it has names outside the queue"], False
                wrong = [line[len(file) :] for line in differences(piece, file, fd, mend)]
                damaged = any(line.startswith(b": damaged: not a ") for line in wrong)
                return wrong, not damaged or (piece.kind == FIFO and not stat.S_ISDIR(about.st_mode))
            finally:
                os.close(fd)
    except FileNotFoundError:  # nor is the folder
        return [b": missing"], True
    except OSError as error:
        raise Temporary(b"unable to look at or change " + piece.path, error) from None


def above(piece: Piece) -> bool:
    """Whether the folder is there in which *piece* is to be."""
    return os.path.isdir(os.path.dirname(piece.path) or b".")


def refuse_other(piece: Piece) -> None:
    """Refuse what has the name of a folder and is none.

    Raises:
        Temporary: *piece* is such a thing.
    """
    name = piece.path or b"."
    if piece.kind == FOLDER and os.path.lexists(name) and not stat.S_ISDIR(os.lstat(name).st_mode):
        raise Temporary(os.path.abspath(name) + b" is no folder, so nothing was done: move it away first")


def require(pieces: list[Piece]) -> None:
    """Make sure that all folders are there.

    Raises:
        Temporary: one is missing.
    """
    for piece in pieces:
        if piece.kind == FOLDER and not os.path.isdir(piece.path or b"."):
            raise Temporary(b"without %s nothing else can be done" % os.path.abspath(piece.path))


def be_alone(mutex: bytes, tell: bool) -> int:
    """Keep qmail-send from starting in the queue; the descriptor that does, or -1 without a lock, if we only *tell*.

    Raises:
        Temporary: it runs, or the lock cannot be had.
    """
    running = b"qmail-send is running: stop it first"
    if has_reader(layout.TRIGGER):
        raise Temporary(running)
    try:
        return hold_mutex()
    except BlockingIOError:
        raise Temporary(running) from None
    except FileNotFoundError as error:
        if tell:
            return -1
        raise Temporary(b"unable to open " + mutex, error) from None
    except OSError as error:
        raise Temporary(b"unable to lock " + mutex, error) from None


def has_reader(fifo: bytes) -> bool:
    """Whether somebody reads *fifo*: qmail-send does, even when its lock was removed."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
