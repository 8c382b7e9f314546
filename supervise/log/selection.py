"""Which lines of a log are selected: patterns, and a text whose lines they choose among.

A pattern is matched against the whole line, of which only the first 1000 bytes count.
A star followed by another byte stands for everything up to the first place where that
byte is, with no second try; a star at the end stands for the rest; any other byte stands
for itself.  Nothing can be quoted.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SEEN = 1000  # bytes of a line that patterns see


class Pattern:
    """A pattern of multilog's, with its sign: `+*warning*`, `-*`.

    Args:
        word: the sign and the pattern.
    """

    __slots__ = ("literal", "selects", "steps")

    def __init__(self, word: bytes) -> None:
        self.selects = word.startswith(b"+")
        self.steps = list(steps(word[1:]))
        # A text without this has no line that matches, which is found out at once.
        self.literal = max((part for star, part in self.steps if not star), key=len, default=b"")

    @property
    def always(self) -> bool:
        """Whether it matches every line."""
        return self.steps == [(True, b"")]

    def matches(self, line: bytes) -> bool:
        """Whether the pattern matches *line* (without its line end)."""
        if len(line) > SEEN:
            line = line[:SEEN]
        at = 0
        for star, part in self.steps:
            if not star:
                if not line.startswith(part, at):
                    return False
                at += len(part)
            elif not part:
                return True
            else:
                at = line.find(part, at)
                if at < 0:
                    return False
        return at == len(line)


def steps(pattern: bytes) -> Iterator[tuple[bool, bytes]]:
    """What to do in turn: (False, literal): be at that; (True, byte): go to the first such byte, or to the end."""
    first, *others = pattern.split(b"*")
    if first:
        yield False, first
    for at, part in enumerate(others):
        if part:
            yield True, part[:1]
            yield False, part
        else:
            # A star before a star goes to the next star in the line, and the second one goes on from there.
            yield True, b"" if at == len(others) - 1 else b"*"


class Selection:
    """The lines of *text*, all selected at first.

    Args:
        text: lines, each with its line end.
    """

    __slots__ = ("flags", "kept", "lines", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.lines: list[bytes] = []  # split only when a pattern asks
        self.flags: list[bool] | bool = True  # of each line, or of all lines
        self.kept: bytes | None = text

    def apply(self, pattern: Pattern) -> None:
        """Select or deselect the lines that *pattern* matches."""
        selects = pattern.selects
        if self.flags is selects or pattern.literal not in self.text:
            return
        if pattern.always:
            self.flags = selects
            self.kept = self.text if selects else b""
            return
        if not self.lines:
            self.lines = self.text[:-1].split(b"\n")
        matches = pattern.matches
        if isinstance(self.flags, bool):
            self.flags = [matches(line) is selects for line in self.lines]
        else:
            pairs = zip(self.flags, self.lines, strict=True)
            self.flags = [selects if flag is not selects and matches(line) else flag for flag, line in pairs]
        self.kept = None

    def selected(self) -> bytes:
        """The selected lines, each with its line end."""
        if self.kept is None:
            assert isinstance(self.flags, list)
            kept = [line for line, flag in zip(self.lines, self.flags, strict=True) if flag]
            kept.append(b"")
            self.kept = b"\n".join(kept)
        return self.kept
