"""Run a program here, and be its child that stands between it and our descriptors 0 and 1."""

from __future__ import annotations

import fcntl
import os
import signal

from supervise.command import Argv, Become
from supervise.errors import Temporary
from supervise.program import spawn
from ucspi.filter.streams import Stream, pass_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

TO_PROGRAM, FROM_PROGRAM = 3, 4  # the pipes in the child


def run_between(program: Argv, streams: Callable[[], tuple[Stream, Stream]]) -> NoReturn:
    """Run *program* with pipes on 0 and 1; what goes through them is passed on by *streams*, in a child.

    The child ends with the program's output.  That the program reads no more ends its input only.

    Args:
        streams: called in the child; one from 0 to `TO_PROGRAM`, one from `FROM_PROGRAM` to 1.

    Raises:
        Become: always; the program runs in our process.
        Temporary: no pipe or no process can be made.
    """
    try:
        (its_input, to_program), (from_program, its_output) = pipe(), pipe()
    except OSError as error:
        raise Temporary(b"unable to create pipe", error) from None

    def work() -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        pass_on(*streams())
        return 0

    try:
        spawn(work, {TO_PROGRAM: to_program, FROM_PROGRAM: from_program})
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None
    os.dup2(its_input, 0)
    os.dup2(its_output, 1)
    for fd in (its_input, its_output, to_program, from_program):
        os.close(fd)
    raise Become(program)


def pipe() -> tuple[int, int]:
    """A pipe that leaves 0, 1 and 2 alone, whether they are open or not."""
    ends = os.pipe()
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends)
    for end in ends:
        os.close(end)
    return reading, writing
