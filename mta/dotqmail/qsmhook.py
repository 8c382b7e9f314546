"""qsmhook - run a program as sendmail runs a mailer

Usage: qsmhook [ -DFlMmnPs ] [ -x prefix ] program [ arg ... ]

qsmhook is for programs that were made for sendmail's `Mprog`, with the same letters.  It gives program the message on
descriptor 0, with the `From ` line in front.  In program and its arguments, %g stands for the sender, %u for the local
part of the recipient, %h for its host, %% for a percent sign; any other letter behind % vanishes with it.

Options:
    -n         without the `From ` line
    -P         with Return-Path
    -l         with Delivered-To
    -x prefix  take prefix, in whatever case, off %u
    -D -F -M -m -s  have no effect

Exit status:
    100  wrong usage, a variable is missing, or program cannot be run
    111  trouble that may pass: program crashed, or the message cannot be read
    otherwise that of program

Environment:
    UFLINE, RPLINE, DTLINE, SENDER, LOCAL, HOST  from qmail-local

See also: preline, qmail-local
"""

from __future__ import annotations

import os

from mta.child import Silent, pass_on
from supervise.command import Argv, command, say
from supervise.errors import PERMANENT, TEMPORARY, Permanent, Temporary, Usage
from supervise.options import options

VARIABLES = b"UFLINE", b"RPLINE", b"DTLINE", b"SENDER", b"LOCAL", b"HOST"
PROBLEM = b"temporary problem"


class Mailer(Silent):
    """The program, which is missed with words of our own."""

    def refuse(self, error: OSError) -> int:
        code = super().refuse(error)
        say(b"qsmhook: fatal: " + (PROBLEM if code == TEMPORARY else b"command not found"))
        return code


@command(b"qsmhook", b"[ -DFlMmnPs ] [ -x prefix ] program [ arg ... ]")
def main(argv: Argv) -> int:
    if any(name not in os.environb for name in VARIABLES):
        raise Permanent(b"incorrect usage")
    from_line, return_path, delivered_to, sender, local, host = (os.environb[name] for name in VARIABLES)
    try:
        chosen, words = options(argv, b"DFlMmnPsx:")
    except Usage:  # which option is wrong has been said
        return PERMANENT
    if not words:
        raise Permanent(b"incorrect usage")
    for letter, prefix in chosen:
        if letter == b"x" and local.lower().startswith(prefix.lower()):
            local = local[len(prefix) :]
    letters = {letter for letter, _ in chosen}
    head = b"" if b"n" in letters else from_line
    head += return_path if b"P" in letters else b""
    head += delivered_to if b"l" in letters else b""
    meant = {b"g": sender, b"u": local, b"h": host}
    try:
        return pass_on(Mailer([fill(word, meant) for word in words]), head)
    except Temporary:
        raise Temporary(PROBLEM) from None
    except OSError:
        raise Temporary(b"unable to read message") from None


def fill(word: bytes, meant: dict[bytes, bytes]) -> bytes:
    """*word* with what the letters behind percent signs are *meant* for."""
    text, *rest = word.split(b"%")
    while rest:
        piece = rest.pop(0)
        if not piece and rest:  # two percent signs
            text += b"%" + rest.pop(0)
        else:
            text += meant.get(piece[:1], b"") + piece[1:]
    return text
