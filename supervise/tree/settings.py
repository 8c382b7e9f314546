"""What a service directory asks of supervise besides `run`; all of it is optional.

    finish             a program: `./finish` runs after each end of ./run, before the next start
    timeout-finish     milliseconds after which ./finish is killed; 0: never (default 5000)
    timeout-kill       milliseconds from `svc -d` to KILL; 0: never (default)
    notification-fd    number of the descriptor to which ./run writes a line when it is ready
    max-death-tally    number of ends in a row, each within a minute of its start, after which
                       the next start waits longer and longer; 0: never (default)
    kill-tree          when it is there, the end of ./run is the end of all processes it started
    essential          when it is there, the end of ./run is the end of supervise, and of svscan
    after              names of services that must be ready before this one is started

Files are read when they are needed, so a change holds from the next time on.  A file that makes
no sense is named on descriptor 2 and counts as missing.
"""

from __future__ import annotations

import os

from supervise.command import say
from supervise.errors import reason
from supervise.files import slurp

FINISH = b"finish"
TIMEOUT_FINISH = b"timeout-finish"
TIMEOUT_KILL = b"timeout-kill"
NOTIFICATION_FD = b"notification-fd"
MAX_DEATH_TALLY = b"max-death-tally"
KILL_TREE = b"kill-tree"
ESSENTIAL = b"essential"
AFTER = b"after"
NAMES = {FINISH, TIMEOUT_FINISH, TIMEOUT_KILL, NOTIFICATION_FD, MAX_DEATH_TALLY, KILL_TREE, ESSENTIAL}

MILLISECOND = 0.001
LARGEST_FD = 1023  # of a descriptor that ./run may be given


class Settings:
    """The settings of one service.

    `finish`, `kill_tree` and `essential` say whether the file is there; `finish_limit` and `kill_limit`
    are seconds, or None for never; `notification_fd` is a descriptor's number or None; `deaths` is a
    number, or 0 for never.
    """

    __slots__ = ("deaths", "essential", "finish", "finish_limit", "kill_limit", "kill_tree", "notification_fd")

    def __init__(self, name: bytes = b"", there: frozenset[bytes] | set[bytes] = frozenset()) -> None:
        self.finish = FINISH in there
        self.kill_tree = KILL_TREE in there
        self.essential = ESSENTIAL in there
        self.deaths = number(name, MAX_DEATH_TALLY) or 0 if MAX_DEATH_TALLY in there else 0
        self.kill_limit = limit(name, TIMEOUT_KILL, 0) if TIMEOUT_KILL in there else None
        self.finish_limit = limit(name, TIMEOUT_FINISH, 5000) if self.finish else None
        self.notification_fd = descriptor(name) if NOTIFICATION_FD in there else None


NOTHING = Settings()


def read(name: bytes) -> Settings:
    """The settings in the service directory that we stand in.

    Args:
        name: what it is called in messages.
    """
    try:
        there = NAMES.intersection(os.listdir(b"."))
    except OSError as error:
        warn(name, b"unable to read the directory: " + reason(error))
        return NOTHING
    return Settings(name, there) if there else NOTHING


def limit(name: bytes, file: bytes, default: int) -> float | None:
    """The seconds that *file* gives in milliseconds, *default* if it says nothing; None for never."""
    found = number(name, file)
    return (default if found is None else found) * MILLISECOND or None


def descriptor(name: bytes) -> int | None:
    """The descriptor for notifications, if the file names one that can be given."""
    found = number(name, NOTIFICATION_FD)
    if found is not None and not 2 < found <= LARGEST_FD:
        warn(name + b"/" + NOTIFICATION_FD, b"no descriptor from 3 to %d: %d" % (LARGEST_FD, found))
        return None
    return found


def number(name: bytes, file: bytes) -> int | None:
    """The number in *file*; None when there is none, which is said unless the file is missing."""
    try:
        content = slurp(file)
    except OSError as error:
        warn(name + b"/" + file, b"unable to read: " + reason(error))
        return None
    if content is None:
        return None
    digits = content.strip()
    if not digits.isdigit() or len(digits) > 9:
        warn(name + b"/" + file, b"not a number: " + digits.partition(b"\n")[0][:100])
        return None
    return int(digits)


def names(content: bytes) -> list[bytes]:
    """The services that the *content* of a file `after` names; what is behind `#` is a remark."""
    return [word for line in content.splitlines() for word in line.partition(b"#")[0].split()]


def warn(name: bytes, what: bytes) -> None:
    say(b"supervise: warning: %s: %s" % (name, what))
