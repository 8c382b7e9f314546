"""splogger - send lines to syslog

Usage: splogger [ tag [ facility ] ]

splogger sends each line of descriptor 0 to the system's log, with a time stamp of its own in front, in seconds since
1970 and microseconds, since syslog knows no fractions:

    Nov 26 08:00:00 heaven qmail: 1795680000.123456 new msg 4711

Empty lines are left out; a last line without an end is not.  A line of 800 bytes or more comes in pieces with the same
stamp; all but the first have a `+` behind it.  A byte that is no printable ASCII comes as a question mark.

multilog loses nothing, and is the better place for logs; splogger is for sites that must have them in syslog.

Arguments:
    tag       the name before each line; splogger by default
    facility  the number of a facility of syslog; 2, mail, by default

A line that begins with `warning:` has the level warning, one with `alert:` the level alert, all others info.

Exit status:
    0  at the end of the input

See also: multilog, qmail-start
"""

from __future__ import annotations

import syslog
import time

from mta.control import leading_number
from supervise.command import Argv, command
from supervise.errors import PRINTABLE
from supervise.fd import chunks

LONGEST = 799  # bytes of a piece
LEVELS = {b"warning:": syslog.LOG_WARNING, b"alert:": syslog.LOG_ALERT}


@command(b"splogger", b"[ tag [ facility ] ]")
def main(argv: Argv) -> int:
    tag = argv[1] if len(argv) > 1 else b"splogger"
    syslog.openlog(tag.decode(errors="replace"), 0, facility(argv[2]) if len(argv) > 2 else syslog.LOG_MAIL)
    entry, rest = Entry(), b""
    for data in chunks(0):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            entry.end(line)
            entry = Entry()
        rest = entry.begin(rest)
    entry.end(rest)
    return 0


def facility(number: bytes) -> int:
    """What syslog calls the facility *number*; of one that it does not have, it makes another."""
    return min(leading_number(number), 0xFFFF) << 3


class Entry:
    """A line on its way to the log; stamp and level are those of its first piece."""

    def __init__(self) -> None:
        self.stamp, self.level, self.mark = b"", syslog.LOG_INFO, b" "

    def begin(self, text: bytes) -> bytes:
        """Log the whole pieces of *text*; what is left, which may be all of one."""
        while len(text) > LONGEST:
            self.log(text[:LONGEST])
            text = text[LONGEST:]
        return text

    def end(self, text: bytes) -> None:
        """Log *text*, the last of the line."""
        if last := self.begin(text):
            self.log(last)

    def log(self, piece: bytes) -> None:
        """Log one piece."""
        if not self.stamp:
            self.stamp = b"%d.%06d" % divmod(time.time_ns() // 1000, 1000000)
            self.level = next((level for word, level in LEVELS.items() if piece.startswith(word)), syslog.LOG_INFO)
        syslog.syslog(self.level, (self.stamp + self.mark + piece.translate(PRINTABLE)).decode("ascii"))
        self.mark = b"+"
