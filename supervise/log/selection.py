"""Which lines of a log a row of patterns selects.

A pattern is matched against the whole line, of which only the first 1000 bytes count.
A star followed by another byte stands for everything up to the first place where that
byte is, with no second try; a star at the end stands for the rest; any other byte stands
for itself.  Nothing can be quoted.  A line is selected at first; then the last pattern
that matches it decides.

All patterns of a row become one regular expression, which is asked once for each line;
and no line is looked at when the text has none of the words that the patterns ask for.
"""

from __future__ import annotations

from itertools import compress, repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

SEEN = 1000  # bytes of a line that patterns see


class Selection:
    """What a row of patterns selects.

    Args:
        words: the patterns in their order, each with its sign: `-*`, `+*warning*`.
    """

    __slots__ = ("compiled", "default", "literals", "patterns")

    def __init__(self, words: Iterable[bytes] = ()) -> None:
        self.default = True  # what a line is that no pattern matches
        self.patterns: list[bytes] = []
        for word in words:
            selects = word.startswith(b"+")
            if word[1:] == b"*":  # what came before has no effect any more
                self.default, self.patterns = selects, []
            elif (self.patterns or selects is not self.default) and b"\n" not in word:
                self.patterns.append(word)
        # A text with none of these has no line that a pattern matches, which is found out at once.
        self.literals = [max(word[1:].split(b"*"), key=len) for word in self.patterns]
        self.compiled: re.Pattern[bytes] | None = None

    def of(self, text: bytes) -> bytes:
        """The lines of *text* that are selected; all lines have their line end."""
        if not any(literal in text for literal in self.literals):
            return text if self.default else b""
        if self.compiled is None:
            self.compiled = compiled(self.patterns, self.default)
        lines = text[:-1].split(b"\n")
        selected = list(compress(lines, map(self.compiled.match, lines, repeat(0), repeat(SEEN))))
        selected.append(b"")
        return b"\n".join(selected)


def compiled(patterns: list[bytes], default: bool) -> re.Pattern[bytes]:
    """The regular expression that matches the lines that are selected."""
    import re  # 7 ms

    whole = b"" if default else b"(?!)"
    for word in patterns:
        this = expression(word[1:])
        whole = b"(?:%b|%b)" % (this, whole) if word.startswith(b"+") else b"(?!%b)%b" % (this, whole)
    return re.compile(whole, re.DOTALL)


def expression(pattern: bytes) -> bytes:
    """The regular expression for one pattern, matched at the begin of a line."""
    from re import escape

    found = []
    for at in range(len(pattern)):
        byte, following = pattern[at : at + 1], escape(pattern[at + 1 : at + 2])
        if byte != b"*":
            found.append(escape(byte))
        elif following:
            found.append(b"[^%b]*+" % following)  # possessive: there is no second try
            if following == rb"\*":
                found.append(rb"(?=\*)")  # the second star goes on from a star in the line
        else:
            return b"".join(found)
    return b"".join(found) + rb"\Z"
