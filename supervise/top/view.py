"""What of the rows is shown, in which order, and what each key changes.

q               quit
s               sort by another column
arrows, j, k    scroll by a line; PgUp, PgDn and blank by a page; Home and End to an end
/               show only names that hold what is typed; Enter keeps that, Esc drops it
"""

from __future__ import annotations

from supervise.top.rows import BY_RULE, FINE, PASSING, WRONG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.top.rows import Row

    Order = Callable[[Row], object]

ENTER, ESCAPE, RUB_OUT = "enter", "escape", "rub out"
UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = "up", "down", "page up", "page down", "home", "end"
FAR = 1 << 30  # lines
STEPS = {UP: -1, "k": -1, DOWN: 1, "j": 1, HOME: -FAR, END: FAR}
PAGES = {PAGE_UP: -1, PAGE_DOWN: 1, " ": 1}
SEVERITY = (WRONG, PASSING, BY_RULE, FINE)


def falling(number: float | None) -> tuple[bool, float]:
    """The largest first, what is not known last."""
    return number is None, -(number or 0)


ORDERS: dict[str, Order] = {
    "name": lambda row: 0,  # as rows come
    "state": lambda row: SEVERITY.index(row.colour),
    "time": lambda row: falling(row.seconds),
    "restarts": lambda row: falling(row.restarts),
    "CPU": lambda row: falling(row.cpu),
    "memory": lambda row: falling(row.memory),
}


class View:
    """One look at the rows.

    `order` is a word of ORDERS, `pattern` what names must hold, `typing` says that it is being typed, `first`
    is the number of the first row that is shown.
    """

    def __init__(self) -> None:
        self.order = next(iter(ORDERS))
        self.pattern = ""
        self.typing = False
        self.first = 0

    def arrange(self, rows: list[Row]) -> list[Row]:
        """Those of *rows* that are to be seen, in order."""
        return sorted((row for row in rows if self.pattern in row.name), key=ORDERS[self.order])  # type: ignore[arg-type]

    def shown(self, count: int, room: int) -> slice:
        """Which of *count* rows are shown where there is *room* for so many."""
        self.first = max(0, min(self.first, count - room))
        return slice(self.first, min(count, self.first + room))

    def press(self, key: str, room: int) -> bool:
        """Do what *key* asks for; false: quit."""
        if self.typing:
            self.type(key)
        elif key == "q":
            return False
        elif key == "s":
            orders = list(ORDERS)
            self.order = orders[(orders.index(self.order) + 1) % len(orders)]
            self.first = 0
        elif key == "/":
            self.typing = True
        elif key == ESCAPE:
            self.pattern = ""
        else:
            self.first = max(0, self.first + STEPS.get(key, 0) + PAGES.get(key, 0) * max(1, room))
        return True

    def type(self, key: str) -> None:
        """Take *key* into the pattern."""
        if key in (ENTER, ESCAPE):
            self.typing = False
        if key == ESCAPE:
            self.pattern = ""
        elif key == RUB_OUT:
            self.pattern = self.pattern[:-1]
        elif len(key) == 1:
            self.pattern += key
