"""preline - put the lines that an mbox has on top of a message

Usage: preline [ -frdFRD ] program [ arg ... ]

preline gives program the message on descriptor 0 with the `From ` line, Return-Path and Delivered-To in front, as they
would stand in an mbox.  It is for programs in .qmail files that expect their mail so:

    |preline procmail

Options:
    -f -r -d  without the `From ` line, Return-Path, Delivered-To
    -F -R -D  with it, which is the default

Exit status:
    100  wrong usage, a variable is missing, or program cannot be run
    111  trouble that may pass: program crashed, or did not read all of a long message
    otherwise that of program

Environment:
    UFLINE, RPLINE, DTLINE  the three lines, with their line ends; qmail-local sets them

See also: qmail-local, qsmhook
"""

from __future__ import annotations

import os

from mta.child import Fed, Told
from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.options import options

LINES = {b"f": b"UFLINE", b"r": b"RPLINE", b"d": b"DTLINE"}  # by the letter of its option


@command(b"preline", b"cmd [ arg ... ]")
def main(argv: Argv) -> int:
    if any(name not in os.environb for name in LINES.values()):
        raise Usage
    chosen, program = options(argv, b"frdFRD")
    if not program:
        raise Usage
    wanted = {letter.lower(): letter.isupper() for letter, _ in chosen}  # the last of two counts
    head = b"".join(os.environb[name] for letter, name in LINES.items() if wanted.get(letter, True))
    child = Fed(Told(program, name=b"preline"))
    try:
        child.copy(head)
    except OSError as error:
        raise Temporary(b"unable to copy input", error) from None
    return child.end()
