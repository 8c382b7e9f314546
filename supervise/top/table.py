"""The table on paper: rows as lines of text, in colours where they can be shown."""

from __future__ import annotations

import io

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import JustifyMethod as Side

    from supervise.top.rows import Row

HEADS = ("NAME", "STATE", "FOR", "RESTARTS", "CPU%", "MEMORY", "LAST LOG LINE")
FIGURES = {"FOR": 6, "RESTARTS": 8, "CPU%": 5, "MEMORY": 6}  # the widths of columns that cannot be cut
WIDEST = 24  # of a name
GAP = 1  # columns of the screen between two of the table
UNLIMITED = 10_000  # columns where there is no screen
UNKNOWN = "-"


class Paper:
    """What the table is written on.

    Args:
        colours: whether it is a screen, which may have colours; the environment says which.
    """

    def __init__(self, colours: bool) -> None:
        self.console = Console(
            file=io.StringIO(),
            force_terminal=colours,
            color_system="auto" if colours else None,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def table(self, rows: list[Row], shown: slice, width: int = UNLIMITED) -> list[str]:
        """A head, and a line for each of the *rows* that are *shown*, none wider than *width* columns."""
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
        columns = widths(rows, width)
        for head, columns_wide in columns.items():
            side: Side = "right" if head in FIGURES else "left"
            table.add_column(head, width=columns_wide, justify=side, no_wrap=True, overflow="crop")
        for row in rows[shown]:
            table.add_row(*cells(row)[: len(columns)])
        return self.write(table, width)

    def line(self, text: str, width: int, style: str = "") -> str:
        """One line of *text*, cut at *width* columns."""
        return self.write(Text(text, style), width)[0]

    def write(self, what: Table | Text, width: int) -> list[str]:
        """The lines of *what*, none wider than *width* columns."""
        self.console.size = (width, 1)
        with self.console.capture() as written:
            self.console.print(what, no_wrap=True, overflow="crop")
        return written.get().rstrip("\n").split("\n")


def widths(rows: list[Row], width: int) -> dict[str, int]:
    """The table's columns, as far as they fit into *width* columns of the screen, with the width of each.

    All rows have a say, so that scrolling changes nothing.
    """
    wanted = {
        **dict.fromkeys(HEADS, 0),
        "NAME": min(WIDEST, max((cell_len(row.name) for row in rows), default=0)),
        "STATE": max((len(row.state) for row in rows), default=0),
        "LAST LOG LINE": max((cell_len(row.text) for row in rows), default=0),
        **FIGURES,
    }
    found: dict[str, int] = {}
    left = width
    for head, most in wanted.items():
        if left < (most if head in FIGURES else 1):
            break
        found[head] = min(left, max(most, len(head)))
        left -= found[head] + GAP
    return found


def cells(row: Row) -> list[Text]:
    """What stands in each column of *row*."""
    return [
        Text(row.name),
        Text(row.state, row.colour),
        Text(duration(row.seconds)),
        Text(UNKNOWN if row.restarts is None else str(row.restarts)),
        Text(UNKNOWN if row.cpu is None else f"{row.cpu:.1f}"),
        Text(size(row.memory)),
        Text(row.text),
    ]


def duration(seconds: int | None) -> str:
    """A time in its two largest units, in six columns."""
    if seconds is None:
        return UNKNOWN
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days >= 100:
        return f"{days}d"
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    if minutes:
        return f"{minutes}m{seconds % 60:02}s"
    return f"{seconds}s"


def size(amount: int | None) -> str:
    """An amount of memory, in six columns."""
    if amount is None:
        return UNKNOWN
    value, unit = amount / 1024, "K"
    for larger in "MGT":
        if value >= 1000:
            value, unit = value / 1024, larger
    return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
