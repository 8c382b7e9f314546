"""setlock - run a program while holding a lock

Usage: setlock [ -nNxX ] file program [ arg ... ]

setlock opens file for appending, makes it when it is missing, locks it, and runs
program.  The lock is held until program, and everything that has inherited the
descriptor from it, has ended; the file stays.

Options:
    -n   do not wait: give up when somebody else has the lock
    -N   wait until the lock is free (default)
    -x   when the file cannot be opened or locked, exit 0 and say nothing
    -X   when the file cannot be opened or locked, say so and exit 111 (default)

Exit status:
    111  the file cannot be opened or locked, or program cannot be run
    100  wrong usage
    0    with -x, the file cannot be opened or locked
    otherwise that of program
"""

import os

from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Usage
from supervise.files import lock
from supervise.options import options


@command(b"setlock", b"[ -nNxX ] file program [ arg ... ]")
def main(argv: Argv) -> int:
    found, rest = options(argv, b"nNxX")
    letters = {letter.lower(): letter for letter, _ in found}  # the last of each pair counts
    if len(rest) < 2:
        raise Usage
    try:
        fd = take(rest[0], wait=letters.get(b"n") != b"n")
    except Temporary:
        if letters.get(b"x") == b"x":
            return 0
        raise
    os.set_inheritable(fd, True)  # the program's end, not ours, ends the lock
    raise Become(rest[1:])


def take(file: bytes, wait: bool) -> int:
    """The descriptor that holds the lock on *file*.

    Raises:
        Temporary: there is none to be had; the text says why.
    """
    try:
        return lock(file, wait=wait)
    except BlockingIOError as error:
        raise Temporary(b"unable to lock " + file, error) from None
    except OSError as error:
        raise Temporary(b"unable to open " + file, error) from None
