"""What a server does before it listens."""

from __future__ import annotations

import os

from supervise.program import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.command import Argv


def take_standard() -> None:
    """See that descriptors 0, 1 and 2 are taken, or one of our own would land there."""
    while (fd := os.open("/dev/null", os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def load(program: Argv) -> None:
    """Import what *program* is made of if it is ours, so that the workers share it."""
    for word in program:  # a program may run another one, as rblsmtpd does
        if b"/" not in word and not word.startswith(b"-"):
            find(word)
    find(program[0])
