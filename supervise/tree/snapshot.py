"""A service at one moment, as far as the files of its supervise tell: for those who look at it from outside.

supervise writes `state` and then `status`.  Who comes between the two finds a `state` that is newer, and
looks again.  One that is older is of a supervise before one that writes none: it says nothing.
"""

from __future__ import annotations

import errno
import os

from supervise.errors import Temporary
from supervise.tree.servicedir import NORMALLY_DOWN, NOT_RUNNING, OK, SIZE, STATE, STATUS, Status, open_writer
from supervise.tree.settings import AFTER, names
from supervise.tree.state import AT_REST, ENDING, FINISHING, RUNNING, WAITING, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Seen: TypeAlias = "Snapshot | Temporary"  # what there is to see: a service, or why it cannot be seen

LARGEST = 65536  # bytes of a state
LOOKS = 3  # at files that are being replaced
WORDS = (AT_REST, WAITING, RUNNING, ENDING, FINISHING)


class Unsupervised(Temporary):
    """No supervise watches the service."""


class Snapshot:
    """A service at one moment.

    `status` is the record; `state` what its supervise says besides, None if that is one that says no more;
    `damage` why its `state` cannot be read, if that is so.  `normally_up` says whether there is no file `down`,
    `settled` is false while there is a `state` that is newer than `status`, and `waiting_for` are the
    services whose readiness it waits for.
    """

    __slots__ = ("damage", "normally_up", "settled", "state", "status", "waiting_for")

    def __init__(self, status: Status, normally_up: bool = True) -> None:
        self.status, self.normally_up = status, normally_up
        self.state: State | None = None
        self.damage = b""
        self.settled = True
        self.waiting_for: list[bytes] = []

    def compare(self, text: bytes) -> None:
        """Take in *text*, the content of `state`, if it is of the moment of `status`."""
        found = State.parse(text)
        since, pid = found.moment(b"since"), found.number(b"pid")
        if since is None or found.word not in WORDS or (found.word == RUNNING) != (pid != 0):
            self.damage = b"unable to read %s: bad format" % STATE
        elif (since, pid) == (self.status.since, self.status.pid):
            self.state = found
        else:
            self.settled = since <= self.status.since

    @property
    def up(self) -> bool:
        """Whether ./run is running."""
        return self.status.pid != 0

    @property
    def word(self) -> bytes:
        """What it is: AT_REST, WAITING, RUNNING, ENDING or FINISHING."""
        return self.state.word if self.state else RUNNING if self.up else AT_REST

    @property
    def ready(self) -> bool:
        """Whether it is up and, if it says when it is ready, has said so."""
        return self.state.ready if self.state else self.up


def see(folder: bytes, here: int) -> Seen:
    """What there is to see of the service in *folder*; the working directory stays.

    Args:
        here: a descriptor of the working directory.
    """
    try:
        snapshot = look_at(folder)
        if snapshot.word == WAITING:
            awaited = names_after()
            os.fchdir(here)
            siblings = os.path.dirname(os.path.abspath(folder))
            snapshot.waiting_for = [name for name in awaited if not is_ready(os.path.join(siblings, name))]
        return snapshot
    except Temporary as trouble:
        return trouble
    finally:
        os.fchdir(here)


def look_at(folder: bytes) -> Snapshot:
    """The service in *folder*, which becomes the working directory.

    Raises:
        Temporary: it cannot be read, the text says why; Unsupervised: that is because no supervise is there.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir", error) from None
    normally_up = not is_there(NORMALLY_DOWN)
    try:
        ok = open_writer(OK)
    except FileNotFoundError as error:
        raise Unsupervised(b"unable to open " + OK, error) from None
    except OSError as error:
        raise Temporary(b"unable to open " + OK, error) from None
    if ok is None:
        raise Unsupervised(NOT_RUNNING)
    os.close(ok)
    return read(normally_up)


def is_there(file: bytes) -> bool:
    """Whether there is a *file*.

    Raises:
        Temporary: nobody can tell.
    """
    try:
        os.stat(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Temporary(b"unable to stat " + file, error) from None
    return True


def is_ready(folder: bytes) -> bool:
    """Whether the service in *folder*, which becomes the working directory, is ready as far as can be seen."""
    try:
        return look_at(folder).ready
    except Temporary:
        return False


def names_after() -> list[bytes]:
    """The names in the file `after` of the service that we stand in."""
    try:
        return names(content(AFTER, LARGEST) or b"")
    except Temporary:
        return []


def read(normally_up: bool = True) -> Snapshot:
    """The service that we stand in, whether or not a supervise is there.

    Raises:
        Temporary: it cannot be read.
    """
    for _ in range(LOOKS):
        snapshot = read_once(normally_up)
        if snapshot.settled:
            break
    return snapshot


def read_once(normally_up: bool) -> Snapshot:
    record = content(STATUS, SIZE)
    if record is None:
        raise Temporary(b"unable to open " + STATUS, FileNotFoundError(errno.ENOENT, ""))
    try:
        snapshot = Snapshot(Status.parse(record), normally_up)
    except ValueError:
        raise Temporary(b"unable to read %s: bad format" % STATUS) from None
    try:
        text = content(STATE, LARGEST)
    except Temporary as trouble:
        snapshot.damage = trouble.line
        return snapshot
    if text:  # an empty one is what a crash of the machine may leave
        snapshot.compare(text)
    return snapshot


def content(file: bytes, most: int) -> bytes | None:
    """What is in *file*, up to *most* bytes; None when there is none.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Temporary(b"unable to open " + file, error) from None
    try:
        return os.read(fd, most)
    except OSError as error:
        raise Temporary(b"unable to read " + file, error) from None
    finally:
        os.close(fd)
