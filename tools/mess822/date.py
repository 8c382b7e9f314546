"""822date - print the date in a mail message

Usage: 822date [ name ]

822date reads a message from descriptor 0 and prints the date in its last field called name that has one, three times:
in the zone of the field, in UTC, and in the zone of this machine:

    2026-01-01 00:00:00 +0100
    2025-12-31 23:00:00 +0000
    Wed Dec 31 23:00:00 2025

Without name it is Date. Years of two and three digits are understood, and the names of some zones: UT, GMT and the
usual ones of Europe, Japan, Hong Kong and North America. Leap seconds are not counted. What is no moment is no date,
such as 31 Nov, 10:60 or a zone of +9999: the original counts on from there.

Exit status:
    0    there is a date
    100  there is none
    111  trouble reading or writing

Environment:
    TZ  the zone of this machine

See also: 822field, 822received
"""

from supervise.command import Argv, command
from supervise.errors import PERMANENT
from supervise.fd import write_all
from tools.mess822.dates import Date, ctime, parse
from tools.mess822.reading import header, values


@command(b"822date", b"[ name ]")
def main(argv: Argv) -> int:
    name = argv[1] if len(argv) > 1 else b"date"
    dates = [date for value in values(header()[0], name.lower()) if (date := parse(value))]
    if not dates:
        return PERMANENT
    seconds = dates[-1].seconds()
    write_all(1, b"%s\n%s\n%s\n" % (dates[-1].iso(), Date.at(seconds).iso(), ctime(seconds)))
    return 0
