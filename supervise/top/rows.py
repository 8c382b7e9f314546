"""The rows of the table: what can be seen of each service of a folder."""

from __future__ import annotations

import os
import time

from supervise.errors import Temporary, reason
from supervise.top.lastline import LastLine
from supervise.top.usage import Usage
from supervise.tree.servicedir import DOWN, UP, services
from supervise.tree.snapshot import Unsupervised, see
from supervise.tree.state import AT_REST, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.tree.snapshot import Seen

SECOND = 1_000_000_000  # nanoseconds
LOG = b"/log"
SIMPLY_UP = "up"
FINE, PASSING, WRONG, BY_RULE = "green", "yellow", "red", ""  # what colours say besides words


class Row:
    """One service.

    `name`, `state` and `text` (the last line of its log, or what there is to say instead) are words for the
    screen, `colour` is that of its state, `log` says that it is the log of another; `seconds` in that state,
    `restarts`, `cpu` in percent of one processor and `memory` in bytes are None when they are not known.
    """

    __slots__ = ("colour", "cpu", "log", "memory", "name", "restarts", "seconds", "state", "text")

    def __init__(self, name: bytes, seen: Seen, text: bytes, used: tuple[float, int] | None, now: int) -> None:
        self.name, self.log = harmless(name), name.endswith(LOG)
        self.state, self.colour = word_of(seen)
        self.seconds: int | None = None
        self.restarts: int | None = None
        self.cpu: float | None = used[0] if used else None
        self.memory: int | None = used[1] if used else None
        if isinstance(seen, Temporary):
            text = seen.line
        else:
            self.seconds = max(0, now // SECOND - seen.status.since // SECOND)
            if seen.state:
                self.restarts = max(0, seen.state.number(b"starts") - 1)
            if seen.state and seen.state.next is not None:
                self.state = f"down, start in {max(0, -((now - seen.state.next) // SECOND))}s"
            if seen.waiting_for:
                text = b" ".join([b"waiting for", *seen.waiting_for])
        self.text = harmless(text)


class Rows:
    """The services in *folder*, looked at again and again.

    `trouble` says why they cannot be listed, if that is so.

    Raises:
        Temporary: there is no such folder.
    """

    def __init__(self, folder: bytes) -> None:
        self.folder = os.path.abspath(folder)
        self.usage = Usage()
        self.logs: dict[bytes, LastLine] = {}
        self.trouble = ""
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise Temporary(b"unable to chdir to " + folder, error) from None

    def look(self) -> list[Row]:
        """A row for each service, by name; for a log only when it is not simply up."""
        try:
            os.chdir(self.folder)
            here = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self.trouble = reason(error).decode()
            return []
        try:
            seen = {name: see(name, here) for name in services(b".")}
        except OSError as error:
            self.trouble = reason(error).decode()
            return []
        finally:
            os.close(here)
        self.trouble = ""
        used = self.usage.measure({pid for what in seen.values() if (pid := pid_of(what))})
        self.logs = {name: self.logs.get(name) or LastLine(name) for name in seen if name.endswith(LOG)}
        now = time.time_ns()
        return [
            Row(name, what, self.last_line(name), used.get(pid_of(what)), now)
            for name, what in seen.items()
            if not name.endswith(LOG) or word_of(what)[0] != SIMPLY_UP
        ]

    def last_line(self, name: bytes) -> bytes:
        """The last line that the service *name* has logged."""
        log = self.logs.get(name + LOG)
        return log.read() if log else b""


def pid_of(seen: Seen) -> int:
    """The process of a service; 0 when there is none to be seen."""
    return 0 if isinstance(seen, Temporary) else seen.status.pid


def word_of(seen: Seen) -> tuple[str, str]:
    """What a service is, and the colour of that."""
    if isinstance(seen, Temporary):
        return "unsupervised" if isinstance(seen, Unsupervised) else "unknown", WRONG
    want = seen.status.want
    if seen.word == RUNNING:
        if seen.status.paused:
            return "up, paused", PASSING
        if want == DOWN:
            return "up, want down", PASSING
        return (SIMPLY_UP, FINE) if seen.ready else ("up, not ready", PASSING)
    if seen.word == AT_REST:
        if want == UP:
            return "down, want up", WRONG
        return "down", PASSING if seen.normally_up else BY_RULE
    return seen.word.decode(), PASSING


def harmless(text: bytes) -> str:
    """*text* for a screen: what is no UTF-8, or would move the cursor or do worse, becomes a question mark."""
    words = text.decode(errors="replace").replace("\t", " ")
    return words if words.isprintable() else "".join(each if each.isprintable() else "?" for each in words)
