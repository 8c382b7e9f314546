"""How lines of logs are shown: with dates, as they are, or as JSON; and which of them."""

from __future__ import annotations

import time

from supervise.errors import Permanent
from supervise.log.tai64nlocal import Dates
from supervise.stamp import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervise.history.directory import Entry

LAST = 999_999_999  # nanosecond of a second
SECOND = 17  # bytes of a label without its nanoseconds
# What a terminal would obey, but for tabs and line ends: control characters, as text and as bytes that are no UTF-8.
CONTROLS = {
    code: "\\x%02x" % (code & 0xFF)
    for code in (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0xDC80, 0xDCA0))
}


class View:
    """Makes the text that is shown of entries.

    `names` are those of the services, by the numbers in the entries; `named` says whether lines have them.

    Args:
        raw: stamps stay as they are.
        utc: dates are UTC and not local.
        json: each line is a JSON object.
        safe: control characters are shown escaped.
        pattern: a regular expression; lines in which it is not found are left out.

    Raises:
        Permanent: the pattern is none.
    """

    def __init__(self, raw: bool, utc: bool, json: bool, safe: bool, pattern: bytes | None) -> None:
        self.dates = Dates(time.gmtime if utc else time.localtime)
        self.form = self.as_json if json else self.as_they_are if raw else self.dated
        self.safe = safe
        self.found = search(pattern) if pattern is not None else None
        self.names: list[bytes] = []
        self.named = False

    def chosen(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of *entries* that are to be shown."""
        found = self.found
        if found is None:
            return list(entries)
        return [entry for entry in entries if found(text_of(entry))]

    def text(self, entries: Iterable[Entry]) -> bytes:
        """*entries* as they are shown, each with a line end."""
        text = b"".join(self.form(entries))
        return harmless(text) if self.safe else text

    def before(self) -> list[bytes]:
        """What stands between the stamp and the line, by the numbers in the entries."""
        return [b" %b:" % name if self.named else b"" for name in self.names]

    def as_they_are(self, entries: Iterable[Entry]) -> list[bytes]:
        names = self.before()
        return [
            b"%b%b%b\n" % (stamp, names[number], line[SIZE:])
            if line.startswith(stamp)
            else unstamped(names[number], line)
            for stamp, number, line in entries
        ]

    def dated(self, entries: Iterable[Entry]) -> list[bytes]:
        names = self.before()
        second: bytes = b""
        date: bytes | None = None
        lines = []
        for stamp, number, line in entries:
            if not line.startswith(stamp):
                lines.append(unstamped(names[number], line))
                continue
            if stamp[:SECOND] != second:
                second = stamp[:SECOND]
                date = self.dates.of(int(second[1:], 16))
            if date is None:
                lines.append(b"%b%b%b\n" % (stamp, names[number], line[SIZE:]))
            else:
                lines.append(b"%b.%09d%b%b\n" % (date, int(stamp[SECOND:], 16), names[number], line[SIZE:]))
        return lines

    def as_json(self, entries: Iterable[Entry]) -> list[bytes]:
        from json import dumps

        lines = []
        for entry in entries:
            stamp, number, line = entry
            fields = {
                "time": self.iso(stamp),
                "tai64n": stamp.decode() if line.startswith(stamp) else None,
                "service": readable(self.names[number]),
                "text": readable(text_of(entry)),
            }
            lines.append(dumps(fields).encode() + b"\n")
        return lines

    def iso(self, stamp: bytes) -> str | None:
        """The moment of the label *stamp* as ISO 8601 has it; None if the calendar does not reach there."""
        date = self.dates.of(int(stamp[1:SECOND], 16)) if stamp.startswith(b"@") else None
        if date is None:
            return None
        minutes = self.dates.offset // 60
        zone = "%s%02d:%02d" % ("-" if minutes < 0 else "+", *divmod(abs(minutes), 60))
        fraction = min(int(stamp[SECOND:], 16), LAST)  # a label has room for more, which nobody would read
        return "%s.%09d%s" % (date.decode().replace(" ", "T"), fraction, zone)


def text_of(entry: Entry) -> bytes:
    """The line of *entry* without its stamp."""
    stamp, _, line = entry
    return line[SIZE + 1 :] if line.startswith(stamp) else line


def unstamped(name: bytes, line: bytes) -> bytes:
    """A *line* without a stamp, as it is shown."""
    return b"%b %b\n" % (name[1:], line) if name else line + b"\n"


def readable(text: bytes) -> str:
    """*text* as characters; bytes that are no UTF-8 as `\\xff`."""
    return text.decode(errors="backslashreplace")


def harmless(text: bytes) -> bytes:
    """*text* with its control characters escaped, as `\\x1b`; other bytes stay as they are."""
    return text.decode(errors="surrogateescape").translate(CONTROLS).encode(errors="surrogateescape")


def search(pattern: bytes) -> Callable[[bytes], object]:
    """What finds the regular expression *pattern* in a text.

    Raises:
        Permanent: it is none.
    """
    import re
    import warnings

    warnings.simplefilter("ignore")  # of what Python may take for something else one day
    try:
        return re.compile(pattern).search
    except (re.error, RecursionError, OverflowError) as error:
        raise Permanent(b"bad pattern %s: %s" % (pattern, str(error).encode())) from None
