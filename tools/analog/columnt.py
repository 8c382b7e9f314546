"""columnt - align the columns of a table

Usage: columnt

columnt reads lines of words from descriptor 0 to the end, and writes them with their words below each other, two
blanks apart. All columns are flush right but the last word of each line, which is flush left.

Exit status:
    0    end of input
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from __future__ import annotations

from itertools import zip_longest

from supervise.command import Argv, command
from supervise.log.tai64n import write
from tools.analog.lines import all_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


@command(b"columnt")
def main(argv: Argv) -> int:
    write(aligned(line.split() for line in all_lines()))
    return 0


def aligned(rows: Iterable[list[bytes]]) -> bytes:
    """The words of *rows* below each other, as lines."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue=b"")]
    return b"".join(
        b"  ".join([*(word.rjust(width) for word, width in zip(row[:-1], widths, strict=False)), *row[-1:]]) + b"\n"
        for row in rows
    )
