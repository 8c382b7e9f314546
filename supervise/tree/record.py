"""Services as JSON, for programs; `svstat` has the table of what is in it."""

from __future__ import annotations

import json
import os
import signal
import time

from supervise.errors import Temporary
from supervise.tree.servicedir import DOWN, UP
from supervise.tree.snapshot import Unsupervised
from supervise.tree.state import KILLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.tree.snapshot import Seen, Snapshot

    Value = str | int | bool | list[str] | None

SECOND = 1_000_000_000  # nanoseconds
UNSUPERVISED = "unsupervised"
NOTHING_KNOWN: tuple[str, ...] = (
    *("state", "pid", "since", "seconds", "normally", "wanted", "paused", "ready", "ready_seconds"),
    *("waiting_for", "starts", "restarts", "last_exit", "next_start", "error"),
)


def array(seen: Iterable[tuple[bytes, Seen]], folder: bytes) -> bytes:
    """A JSON array of services, one on a line.

    Args:
        seen: directories, and what there is to see in each.
        folder: what they are in, if they are names.
    """
    lines = [json.dumps(one(place, folder) | values(what, time.time_ns())) for place, what in seen]
    return b"[%s]\n" % ",\n".join(lines).encode()


def one(place: bytes, folder: bytes) -> dict[str, Value]:
    """What the service in *place* is called."""
    if folder:
        return {"name": os.fsdecode(place), "dir": os.fsdecode(os.path.join(folder, place))}
    above, name = os.path.split(os.path.abspath(place))
    if name == b"log":
        name = os.path.join(os.path.basename(above), name)
    return {"name": os.fsdecode(name), "dir": os.fsdecode(place)}


def values(seen: Seen, now: int) -> dict[str, Value]:
    """What there is to see at the moment *now*, in nanoseconds since 1970."""
    known: dict[str, Value] = dict.fromkeys(NOTHING_KNOWN)
    if isinstance(seen, Temporary):
        state = UNSUPERVISED if isinstance(seen, Unsupervised) else None
        return known | {"state": state, "error": os.fsdecode(seen.line)}
    return known | of_status(seen, now) | of_state(seen, now)


def of_status(snapshot: Snapshot, now: int) -> dict[str, Value]:
    """What every supervise tells."""
    status = snapshot.status
    return {
        "state": snapshot.word.decode(),
        "pid": status.pid or None,
        "since": date(status.since),
        "seconds": seconds(status.since, now),
        "normally": "up" if snapshot.normally_up else "down",
        "wanted": {UP: "up", DOWN: "down"}.get(status.want, "once"),
        "paused": snapshot.up and status.paused,
        "ready": snapshot.ready,
        "error": os.fsdecode(snapshot.damage) or None,
    }


def of_state(snapshot: Snapshot, now: int) -> dict[str, Value]:
    """What ours tells besides."""
    state = snapshot.state
    if state is None:
        return {}
    starts = state.number(b"starts")
    return {
        "ready_seconds": None if state.ready_since is None else seconds(state.ready_since, now),
        "waiting_for": [os.fsdecode(name) for name in snapshot.waiting_for],
        "starts": starts,
        "restarts": max(0, starts - 1),
        "last_exit": how(state.ended),
        "next_start": None if state.next is None else date(state.next),
    }


def how(ended: tuple[int, int] | None) -> Value:
    """An end of ./run as an exit code or the name of a signal; None if nobody has seen it."""
    if ended is None or ended[0] < 0:
        return None
    code, number = ended
    if code != KILLED:
        return code
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def date(moment: int) -> str | None:
    """*moment*, in nanoseconds since 1970, as ISO 8601 in UTC; None if the calendar does not reach there."""
    seconds, rest = divmod(moment, SECOND)
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
    except (OverflowError, ValueError, OSError):
        return None


def seconds(moment: int, now: int) -> int:
    """Whole seconds from *moment* to *now*, at least 0."""
    return max(0, now // SECOND - moment // SECOND)
