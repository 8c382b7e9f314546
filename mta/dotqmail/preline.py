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

LINES = b"UFLINE", b"RPLINE", b"DTLINE"
LETTERS = b"frd"


@command(b"preline", b"cmd [ arg ... ]")
def main(argv: Argv) -> int:
    lines = [os.environb.get(name) for name in LINES]
    if None in lines:
        raise Usage
    chosen, program = options(argv, LETTERS + LETTERS.upper())
    if not program:
        raise Usage
    last = {letter.lower(): letter for letter, _ in chosen}
    left_out = [last.get(b"%c" % letter, b"").islower() for letter in LETTERS]
    child = Fed(Told(program, name=b"preline"))
    try:
        child.copy(b"".join(line for line, out in zip(lines, left_out, strict=True) if line and not out))
    except OSError as error:
        raise Temporary(b"unable to copy input", error) from None
    return child.end()
