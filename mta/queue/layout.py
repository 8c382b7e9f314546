"""Names in the queue, and what each combination of them means.

A message is known by its number, which is the inode number of its mess file.  Message
457 (457 % 23 = 20) may have these files below the queue folder, where everybody who works
on the queue stands:

    pid/UNIQUE      the mess file before its number is known
    mess/20/457     the message: a Received line, then the bytes as they arrived
    intd/457        the envelope being written: the records of `mta.queue.envelope`
    todo/457        the same file complete; this name is the acceptance
    info/20/457     the sender's record; its time of change is the message's birth
    local/20/457    the recipients on this machine, each waiting (T) or done (D)
    remote/20/457   the recipients elsewhere
    bounce/457      what failed for good, one paragraph for each recipient

Of all combinations only these occur, whatever crashes (`+` there, `-` not there, `?` either):

    state      mess intd todo info local remote bounce
    NOTHING     -    -    -    -     -     -      -     no such message
    ARRIVING    +    ?    -    -     -     -      -     a submitter is at work, or it died
    QUEUED      +    ?    +    ?     ?     ?      -     accepted
    ACTIVE      +    -    -    +     ?     ?      ?     taken apart by qmail-send, being delivered

and a message moves like this:

    NOTHING  -> ARRIVING  mess appears        the submitter (qmailq); it gives up within 24 hours
    ARRIVING -> QUEUED    todo appears        the submitter: from here on nothing is lost
    QUEUED   -> ACTIVE    intd, todo go       qmail-clean, when qmail-send has written info, local, remote
    ACTIVE   -> ARRIVING  info goes           qmail-send, when all is delivered and bounced
    ARRIVING -> NOTHING   intd, then mess go  qmail-clean: asked by qmail-send at once, or 36 hours
                                              after a crash; a submitter that fails does it itself

Besides these there are

    lock/trigger    the FIFO that wakes qmail-send
    lock/sendmutex  held by the one qmail-send there is
    lock/tcpto      hosts that did not answer lately; qmail-remote's
    taken           notes of what came from an older queue, only after qmail-setup --from; when that was killed,
                    a message may have some of its files here, until the same command is run again
    moving          messages on their way to other numbers, while queue-fix runs; when that was killed, until it is
                    run again

See also: mta.queue.enqueue, mta.queue.clean, qmail-send
"""

from __future__ import annotations

import os

from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SPLIT = 23  # folders that mess, info, local and remote are split into
SPLIT_NAMES = (b"mess", b"info", b"local", b"remote")
OSSIFIED = 129_600  # seconds (36 hours) after which an arriving message must have been given up
DEATH = 86_400  # seconds (24 hours) after which its submitter gives it up; well below OSSIFIED

TRIGGER = b"lock/trigger"
SENDMUTEX = b"lock/sendmutex"
TCPTO = b"lock/tcpto"
TCPTO_SIZE = 1024
TAKEN, MOVING = b"taken", b"moving"


def mess(number: int) -> bytes:
    """The message itself."""
    return b"mess/%d/%d" % (number % SPLIT, number)


def info(number: int) -> bytes:
    """The sender; its time of change is the birth of the message."""
    return b"info/%d/%d" % (number % SPLIT, number)


def local(number: int) -> bytes:
    """The recipients on this machine."""
    return b"local/%d/%d" % (number % SPLIT, number)


def remote(number: int) -> bytes:
    """The recipients elsewhere."""
    return b"remote/%d/%d" % (number % SPLIT, number)


def intd(number: int) -> bytes:
    """The envelope in the making."""
    return b"intd/%d" % number


def todo(number: int) -> bytes:
    """The envelope, accepted."""
    return b"todo/%d" % number


def bounce(number: int) -> bytes:
    """What failed for good."""
    return b"bounce/%d" % number


# -- states ------------------------------------------------------------------------------

NOTHING, ARRIVING, QUEUED, ACTIVE = b"nothing", b"arriving", b"queued", b"active"

NAMES = (mess, intd, todo, info, local, remote, bounce)
STATES = {  # the table above: mess, intd, todo, info, local, remote, bounce
    NOTHING: b"-------",
    ARRIVING: b"+?-----",
    QUEUED: b"+?+???-",
    ACTIVE: b"+--+???",
}


def state_of(number: int) -> bytes:
    """The state of message *number* in the queue that we stand in: one of the keys of STATES.

    Raises:
        Temporary: its files fit no state.
    """
    return state_with(number, [os.path.lexists(name(number)) for name in NAMES])


def state_with(number: int, there: list[bool]) -> bytes:
    """The state that message *number* has with those of its files *there*, in the order of NAMES.

    Raises:
        Temporary: they fit no state.
    """
    seen = b"".join(b"+" if have else b"-" for have in there)
    for state, wanted in STATES.items():
        if all(want in (ord("?"), have) for want, have in zip(wanted, seen, strict=True)):
            return state
    raise Temporary(b"message %d is in no legal state: %s (mess intd todo info local remote bounce)" % (number, seen))


def folders(name: bytes) -> list[bytes]:
    """The folders that hold the files of *name*: one, or the SPLIT ones."""
    return [b"%s/%d" % (name, at) for at in range(SPLIT)] if name in SPLIT_NAMES else [name]


# -- who owns what -------------------------------------------------------------------------


class Place:
    """A folder or file that a queue has from the start.

    Attributes:
        path: below the home.
        owner: the role (see `mta.home.USERS`) it belongs to; in a plain user's instance, that user.
        group: the group's name; in a plain user's instance, that user's.
        mode: permission bits.
        kind: `folder`, `file` or `fifo`.
        size: bytes of a file, all zero at first.
    """

    __slots__ = ("group", "kind", "mode", "owner", "path", "size")

    def __init__(self, path: bytes, owner: bytes, mode: int, kind: bytes, size: int = 0) -> None:
        self.path, self.owner, self.group, self.mode, self.kind = path, owner, b"qmail", mode, kind
        self.size = size


def places() -> Iterator[Place]:
    """All that a home needs for its queue and its submission socket, parents first."""
    for name, owner, mode in (
        (b"", b"qmailq", 0o750),
        (b"pid", b"qmailq", 0o700),
        (b"mess", b"qmailq", 0o750),
        (b"intd", b"qmailq", 0o700),
        (b"todo", b"qmailq", 0o750),
        (b"info", b"qmails", 0o700),
        (b"local", b"qmails", 0o700),
        (b"remote", b"qmails", 0o700),
        (b"bounce", b"qmails", 0o700),
        (b"lock", b"qmailq", 0o750),
    ):
        path = b"queue/" + name if name else b"queue"
        yield Place(path, owner, mode, b"folder")
        if name in SPLIT_NAMES:
            for at in range(SPLIT):
                yield Place(b"%s/%d" % (path, at), owner, mode, b"folder")
    yield Place(b"queue/" + TRIGGER, b"qmails", 0o622, b"fifo")
    yield Place(b"queue/" + SENDMUTEX, b"qmails", 0o600, b"file")
    yield Place(b"queue/" + TCPTO, b"qmailr", 0o644, b"file", TCPTO_SIZE)
    yield Place(b"run", b"qmailq", 0o755, b"folder")
