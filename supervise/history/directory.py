"""What lies in a log directory: its files, the oldest first, and their lines with their times.

multilog goes on meanwhile. What it is writing is opened at once and read as far as it had come then;
old logs are opened when it is their turn, one at a time, and one that has been removed by then is passed over.

A line has the time of its stamp, and a line without one that of the line before it. In a file that does not
begin with stamps, a line without one has the time of the file.
"""

from __future__ import annotations

import os
import stat

from supervise.errors import Temporary, reason
from supervise.history.logfile import ENDINGS, PROCESSED, Log
from supervise.history.moment import is_label
from supervise.log.tai64nlocal import DIGITS
from supervise.stamp import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Entry = tuple[bytes, int, bytes]  # the time of a line (its label), the number of its directory, the line
    Complain = Callable[[bytes], object]

LONGEST = 1 << 20  # bytes of a line; a longer one comes in pieces
UNKNOWN = b"\n"  # the time of a line that has none: it sorts before all others, and no line begins with it
NEVER = b"~"  # sorts behind all labels
CURRENT, PREVIOUS = b"current", b"previous"


def logs_in(folder: bytes, complain: Complain) -> list[Log]:
    """The logs of *folder*, the oldest first; those that are being written are held open.

    Every line is in one of them and in one only, whatever multilog is renaming.

    Args:
        complain: is called with one line about what is being written and cannot be read.

    Raises:
        OSError: the folder cannot be read.
    """
    while True:
        current = hold(folder, CURRENT, complain)
        other = hold(folder, PREVIOUS, complain) or hold(folder, PROCESSED, complain, complete=True)
        held = [log for log in (other, current) if log]
        old = old_logs(folder)
        if all(log.inode in old or log.in_place() for log in held):
            break
        release(held)
    if other and other.inode in old:
        release([other])
        held.remove(other)
    # Once current has been put away there may be newer ones, of which not all need to have been seen.
    newest = old.get(current.inode, NEVER) if current else NEVER
    older = sorted((name, inode) for inode, name in old.items() if name < newest)
    return [Log(folder, name, inode=inode) for name, inode in older] + held


def hold(folder: bytes, name: bytes, complain: Complain, complete: bool = False) -> Log | None:
    """The log *name*, held open, or None if there is none, or if it is to be *complete* and is not."""
    try:
        fd = os.open(folder + b"/" + name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        complain(unable(folder + b"/" + name, error))
        return None
    if complete and not os.fstat(fd).st_mode & stat.S_IXUSR:
        os.close(fd)
        return None
    return Log(folder, name, fd)


def unable(path: bytes, error: OSError) -> bytes:
    """What to say of a file that cannot be read."""
    return b"unable to read %s: %s" % (path, reason(error))


def release(logs: Iterable[Log]) -> None:
    """Let go of those that are held open."""
    for log in logs:
        if log.fd >= 0:
            os.close(log.fd)


def old_logs(folder: bytes) -> dict[int, bytes]:
    """The names of the old logs in *folder* by inode; of one that is there compressed too, one of the two."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for name, inode in sorted((entry.name, entry.inode()) for entry in os.scandir(folder)):
        if is_label(name[:SIZE]) and name[SIZE:] in ENDINGS:
            found.setdefault(name[:SIZE], (inode, name))
    return dict(found.values())


def select(logs: list[Log], since: bytes, until: bytes) -> list[Log]:
    """Those of *logs* that can have lines of the time from *since* on and before *until*.

    Each is taken as a whole: when the clock is set back, stamps within a log go back too, and nothing tells where.

    Args:
        since: a label, or nothing for the beginning.
        until: a label, or nothing for the end.
    """
    chosen = [log for log in logs if log.fd >= 0 or log.moment >= since]  # the time of a file is not that exact
    try:
        while until and chosen and chosen[-1].moment >= until and chosen[-1].head() >= until:
            chosen.pop()
    except OSError:  # who reads it will say so
        pass
    return chosen


def tail(logs: list[Log], lines: int) -> tuple[list[Log], bool]:
    """The stretches of *logs* that have the last *lines* lines, besides one that is not complete; whether it is all."""
    missing = lines + 1
    for at in reversed(range(len(logs))):
        try:
            start, missing = logs[at].back(missing)
        except (OSError, Temporary):  # who reads it will say so
            start, missing = logs[at].end, missing - 1
        if not missing:
            return [logs[at].between(start, logs[at].end), *logs[at + 1 :]], False
    return logs, True


def entries_of(logs: list[Log], number: int, complain: Complain) -> Iterator[Entry]:
    """The lines of *logs*, with their times and the *number* of the directory.

    Args:
        complain: is called with one line about each file that cannot be read.
    """
    lines = Lines(number)
    for log in logs:
        yield from lines.read(log, complain)
    yield from lines.end()


class Lines:
    """Splits what comes from a directory, block after block, into lines, and gives them their times.

    `rest` is the begin of a line whose end has not come.

    Args:
        number: of the directory, for the entries.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.time, self.second = UNKNOWN, UNKNOWN  # the last stamp; its part without the nanoseconds
        self.default = b""  # the time of lines without a stamp, unless it is that of the line before
        self.rest = b""

    def read(self, log: Log, complain: Complain) -> Iterator[Entry]:
        """The lines that end in *log*."""
        ended = log.cut  # and its last line with it
        try:
            self.default = b"" if log.head() else log.moment
            for block in log.blocks():
                yield from self.take(block)
        except FileNotFoundError:  # it was one too many, and has been removed
            ended = True
        except OSError as error:
            complain(unable(log.path, error))
            ended = True
        except Temporary as trouble:
            complain(trouble.line)
            ended = True
        if ended:
            yield from self.end()

    def take(self, block: bytes) -> Iterator[Entry]:
        """The lines that end in *block*."""
        lines = (self.rest + block).split(b"\n")
        self.rest = lines.pop()
        if len(self.rest) > LONGEST:
            lines.append(self.rest)
            self.rest = b""
        return self.timed(lines)

    def end(self) -> Iterator[Entry]:
        """What there is of the last line, if anything."""
        lines = [self.rest] if self.rest else []
        self.rest = b""
        return self.timed(lines)

    def timed(self, lines: list[bytes]) -> Iterator[Entry]:
        """*lines* as entries."""
        number, default = self.number, self.default
        time, second = self.time, self.second
        for line in lines:
            if line.startswith(second) and line[25:26] == b" " and not line[17:25].translate(None, DIGITS):
                time = line[:25]
            elif line.startswith(b"@") and is_label(line[:SIZE]) and line[SIZE : SIZE + 1] in (b" ", b""):
                time, second = line[:SIZE], line[:17]
            elif default:
                time = default
            yield time, number, line
        self.time, self.second = time, second
