"""822received - print the Received fields in a mail message

Usage: 822received

822received reads a message from descriptor 0 and prints the way that it has come, the first step first: of each
Received field its date, in the zone of this machine, and what it says, in lines of which each tells one thing:

    Thu Jan  1 00:00:00 2026 from a.example (HELO b) (192.0.2.7)
                             by mx.example with SMTP
                             ; 1 Jan 2026 00:00:00 -0000

Exit status:
    0    done
    111  trouble reading or writing

Environment:
    TZ  the zone of this machine

See also: 822field, 822date
"""

from __future__ import annotations

from mta.tokens import BLANK, COMMENT, WORDS, lex
from supervise.command import Argv, command
from supervise.fd import write_all
from tools.mess822.addresses import text_of
from tools.mess822.dates import ctime, parse
from tools.mess822.reading import header, values

INDENT = b"\t\t\t"
MARKS = b"from", b"by", b"for", b"id"  # what a line begins with
BEGIN, WITHIN, AFTER_BLANK, LAST = range(4)  # where in the field we are; LAST: behind a semicolon


@command(b"822received")
def main(argv: Argv) -> int:
    for value in reversed(values(header()[0], b"received")):
        date = parse(value)
        write_all(1, (ctime(date.seconds()) if date else INDENT) + b" " + shown(value) + b"\n")
    return 0


def shown(value: bytes) -> bytes:
    """What the field says, in lines."""
    pieces = []
    where = BEGIN
    for token in lex(value, loose=True):
        kind, text = token
        if token == BLANK:
            if where in (WITHIN, LAST):
                pieces.append(b" ")
            if where == WITHIN:
                where = AFTER_BLANK
            continue
        marks = kind in WORDS and kind != COMMENT and text.lower() in MARKS and where == AFTER_BLANK
        ends = kind == b";" and where in (WITHIN, AFTER_BLANK)
        if marks or ends:
            pieces.append(b"\n" + INDENT + b" ")
        pieces.append(b"(" + text + b")" if kind == COMMENT else text_of(token) or kind)
        if kind == b";":
            where = LAST
        elif where != LAST:
            where = WITHIN
    return b"".join(pieces)
