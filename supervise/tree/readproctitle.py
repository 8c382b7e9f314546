"""readproctitle - show what was said last in the list of processes

Usage: readproctitle word ... dots

readproctitle reads descriptor 0 and shows the end of it in place of its last argument,
which is a row of at least five dots: what comes in moves the rest to the left.  The first
three bytes stay dots.  So

    svscan /service 2>&1 | readproctitle service errors: ................................

keeps the latest complaints of services without a log where `ps` shows them, on a machine
that cannot write to its disk.  NULs are left out.

readproctitle ends at the end of its input.

Exit status:
    111  descriptor 0 cannot be read
    100  wrong usage
    0    otherwise

See also: svscanboot, multilog
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from supervise.errors import PERMANENT, TEMPORARY
from supervise.fd import chunks, read_all
from supervise.program import take_name
from supervise.title import arguments, set_title

LEAST = 5  # bytes of the last argument
LEFT = b"..."  # stays


@command(b"readproctitle", b"word ... dots")
def main(argv: Argv) -> int:
    if len(argv) < 2 or len(argv[-1]) < LEAST:
        return PERMANENT  # without a word: whoever starts us has sent descriptor 2 to us
    window = Window(argv)
    try:
        for data in chunks(0, 4096):
            window.push(data)
    except OSError:
        return TEMPORARY
    return 0


class Window:
    """The last of *argv*, which shows the end of all that has been pushed."""

    def __init__(self, argv: Argv) -> None:
        self.words = argv[:-1]
        self.text = b"." * len(argv[-1])
        take_name(argv[0])
        self.memory = arguments([*self.words, self.text])
        if self.memory is None:
            self.shrink()

    def push(self, data: bytes) -> None:
        """Show the bytes of *data* too."""
        seen = self.text[len(LEFT) :] + data.replace(b"\0", b"")
        self.text = LEFT + seen[len(LEFT) - len(self.text) :]
        self.show()

    def show(self) -> None:
        if self.memory is None:
            set_title([*self.words, self.text])
        else:
            self.memory[-1 - len(self.text) : -1] = self.text

    def shrink(self) -> None:
        """Let the text be as short as a title must be here, which would lack its end otherwise."""
        self.show()
        title = b" ".join([*self.words, self.text])
        missing = len(title) - len(shown())
        self.text = self.text[max(0, missing) :].rjust(LEAST, b".")
        self.show()


def shown() -> bytes:
    """What the list of processes shows of us."""
    fd = os.open(b"/proc/self/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_all(fd).rstrip(b"\0")
    finally:
        os.close(fd)
