"""tai64nlocal - make dates of the labels in front of lines

Usage: tai64nlocal

tai64nlocal copies descriptor 0 to descriptor 1. A line that begins with a TAI64N label,
`@` and 24 lower-case hexadecimal digits, gets the local date and time in its place, as
`1999-08-23 21:03:43.787492500`; other lines stay as they are. Of more than 24 digits the
last ones count. When the input ends within a label, nothing is put out for it.

Environment:
    TZ  the time zone

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written

See also: tai64n, multilog, svlog
"""

from __future__ import annotations

import time

from supervise.command import Argv, command
from supervise.log.pipe import Pipe
from supervise.log.tai64n import read, write
from supervise.stamp import EPOCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = b"0123456789abcdef"
SIGN = 1 << 63  # seconds from here up are before 1970


@command(b"tai64nlocal")
def main(argv: Argv) -> int:
    pipe, dates = Pipe(), Dates()
    label = b""  # the begin of a line, nothing but a label so far
    inside = False  # of a line beyond its label
    while text := read(pipe):
        *lines, rest = (label + text).split(b"\n")
        done = [line if inside and not at else dates.replaced(line) for at, line in enumerate(lines)]
        inside = inside and not lines
        if not inside and rest.startswith(b"@") and not rest[1:].lstrip(DIGITS):
            label, last = rest, b""
        else:
            label, last = b"", rest if inside else dates.replaced(rest)
            inside = bool(rest) or inside
        write(b"\n".join([*done, last]))
    return 0


class Dates:
    """Dates of labels; those of one second are one look-up.

    Args:
        clock: seconds since 1970 -> the calendar's fields; that of the local time zone by default.
    """

    def __init__(self, clock: Callable[[int], time.struct_time] = time.localtime) -> None:
        self.clock = clock
        self.seconds, self.date = -1, b""
        self.offset = 0  # seconds that the date is ahead of UTC

    def replaced(self, line: bytes) -> bytes:
        """*line* with a date instead of its label; as it is if it has none or the calendar does not reach there."""
        if not line.startswith(b"@"):
            return line
        rest = line[1:].lstrip(DIGITS)
        digits = line[1 : len(line) - len(rest)]
        seconds, nanoseconds = divmod(int(digits[-24:] or b"0", 16), 1 << 32)
        date = self.of(seconds)
        return line if date is None else b"%b.%09d%b" % (date, nanoseconds, rest)

    def of(self, seconds: int) -> bytes | None:
        """Date and time, `1999-08-23 21:03:43`, of a label's *seconds*; None if the calendar does not reach there."""
        if seconds != self.seconds:
            try:
                date = self.clock((seconds - EPOCH + SIGN) % (1 << 64) - SIGN)
            except (OverflowError, OSError, ValueError):
                return None
            self.seconds, self.date = seconds, b"%d-%02d-%02d %02d:%02d:%02d" % date[:6]
            self.offset = date.tm_gmtoff
        return self.date
