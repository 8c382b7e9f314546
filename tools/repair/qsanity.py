"""qmail-qsanity - check the queue

Usage: qmail-qsanity

qmail-qsanity looks at each file of the queue and changes nothing.  It prints a line on descriptor 2 for each folder or
file that is missing or has another owner, mode or kind than it should have; for each message that is in no legal
state, or whose number is not the inode of its text; for each file where no message of its name belongs, so that nobody
looks for it there, such as those of a queue that was split into another number of parts; for each empty part too many;
and for each file that does not hold what such a file does: a sender, recipients, an envelope.  queue-fix mends most of
it.

Mail may come and go meanwhile.  In a queue whose folders are not all there, messages are not looked at.

The original exits 0 whatever it has found.

Exit status:
    0    nothing is wrong
    1    something is
    100  wrong usage
    111  the queue cannot be read

Environment:
    QMAILHOME  the home; /var/qmail by default

See also: queue-fix, qmail-setup, qmail-qread
"""

from __future__ import annotations

import os

from mta.home import enter, path, step_down
from mta.queue import layout
from mta.setup.inspect import findings
from mta.setup.messages import illegal_messages, known_messages, message_pieces, strangers
from mta.setup.oldqueue import Broken, OldMessage
from mta.setup.plan import FOLDER, queue
from supervise.command import Argv, command, say
from supervise.errors import Temporary, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = 1  # exit code when something is wrong
CONTENT = {  # by state, the files that hold records then
    layout.QUEUED: {b"todo": layout.todo},
    layout.ACTIVE: {b"info": layout.info, b"local": layout.local, b"remote": layout.remote},
}


@command(b"qmail-qsanity")
def main(argv: Argv) -> int:
    if argv[1:]:
        raise Usage
    step_down()
    enter(b"queue")
    found = 0
    for line in faults():
        say(line)
        found = FOUND
    return found


def faults() -> Iterator[bytes]:
    """What is wrong with the queue that we stand in, a line each."""
    for piece in queue():
        yield from findings(piece)
    if not all(os.path.isdir(path(piece.path)) for piece in queue() if piece.kind == FOLDER):
        return
    for number in known_messages():
        for piece in message_pieces(number):
            yield from (line for line in findings(piece) if not line.endswith(b": missing"))  # it has just gone
        yield from damage(number)
    yield from strangers()
    yield from illegal_messages()


def damage(number: int) -> Iterator[bytes]:
    """A line for each file of message *number* that does not hold what it should."""
    for kind, name in CONTENT.get(state(number), {}).items():
        file = path(b"queue", name(number))
        trouble = broken(number, kind, file)
        if trouble and os.path.lexists(file) and broken(number, kind, file):  # it may have gone between two looks
            yield file + b": damaged: " + trouble


def state(number: int) -> bytes:
    """The state of message *number*; NOTHING for one that is in none, of which another line tells."""
    try:
        return layout.state_of(number)
    except Temporary:
        return layout.NOTHING


def broken(number: int, kind: bytes, file: bytes) -> bytes:
    """What is wrong with the content of *file*; nothing for one that is not there."""
    if not os.path.lexists(file):
        return b""
    message = OldMessage(number, {kind: file})
    try:
        fd = message.open(kind)
        try:
            for _ in message.content(kind, fd):
                pass
        finally:
            os.close(fd)
    except Broken as trouble:
        return trouble.line
    return b""
