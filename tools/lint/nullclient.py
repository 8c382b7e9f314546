"""What is wrong with a null client: a machine that hands its mail to a server by QMQP and has no queue."""

from __future__ import annotations

import os

from mta.home import path
from mta.qmtp.qmqpc import place_of
from tools.lint.access import READERS, changeable, of_files
from tools.lint.hosts import ME, nameless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Complaints, Folder

PROGRAM = b"qmail-qmqpc"  # qmail-queue on a null client
SERVERS = b"qmqpservers"
OF_OTHERS = {name for names in READERS.values() for name in names} - {ME}  # who serves or has a queue has some of them


def is_null_client(control: Folder) -> bool:
    """Whether this is one, with the files in *control*."""
    queue = os.path.realpath(path(b"bin", b"qmail-queue"))
    return os.path.basename(queue) == PROGRAM and OF_OTHERS.isdisjoint(control.names)


def complaints(control: Folder) -> Complaints:
    """What is wrong with owners, modes and files that are not there; each file by itself is another matter."""
    for name in (b"", b"bin", b"control"):
        folder = path(name) if name else path()
        if os.path.exists(folder):
            yield from ((name or folder, 0, what) for what in changeable(os.stat(folder)))
    yield from of_files(control, readers={})
    yield from nameless(control)
    if not any(place_of(line) for _, line in control.lines(SERVERS)):
        yield control.file(SERVERS), 0, b"names no server, so no mail leaves this null client"
