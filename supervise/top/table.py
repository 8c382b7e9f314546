"""The table on paper: rows as lines of text, in colours where they can be shown."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.top.rows import Row

WIDEST = 24  # columns of a name
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

    def table(self, rows: list[Row], shown: slice, width: int) -> list[str]:
        """A head, and a line for each of the *rows* that are *shown*, none wider than *width* columns.

        All rows have a say in the widths of the table's columns, so that scrolling changes none.
        """
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        names = max((Text(row.name).cell_len for row in rows), default=0)
        table.add_column("NAME", width=max(4, min(names, WIDEST)), no_wrap=True, overflow="crop")
        table.add_column("STATE", width=max([5, *(len(row.state) for row in rows)]), no_wrap=True)
        for head, columns in ("FOR", 6), ("RESTARTS", 8), ("CPU%", 5), ("MEMORY", 6):
            table.add_column(head, width=columns, no_wrap=True, justify="right")
        table.add_column("LAST LOG LINE", no_wrap=True, overflow="crop")
        for row in rows[shown]:
            table.add_row(
                Text(row.name),
                Text(row.state, row.colour),
                duration(row.seconds),
                UNKNOWN if row.restarts is None else str(row.restarts),
                UNKNOWN if row.cpu is None else f"{row.cpu:.1f}",
                size(row.memory),
                Text(row.text),
            )
        return self.write(table, width)

    def line(self, text: str, width: int, style: str = "") -> str:
        """One line of *text*, cut at *width* columns."""
        return self.write(Text(text, style, no_wrap=True, overflow="crop"), width)[0]

    def write(self, what: Table | Text, width: int) -> list[str]:
        """The lines of *what*, none wider than *width* columns."""
        self.console.size = (width, 1)
        with self.console.capture() as written:
            self.console.print(what)
        return written.get().rstrip("\n").split("\n")


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
