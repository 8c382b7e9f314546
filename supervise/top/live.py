"""The table, drawn again and again."""

from __future__ import annotations

import errno
import math
import os
import select
import signal
import time

from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.loop import Signals
from supervise.top.rows import Rows, harmless
from supervise.top.screen import Screen
from supervise.top.table import Paper
from supervise.top.view import View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.top.rows import Row

BESIDES = 3  # lines of a screen that are no rows
ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
HELP = "q quit   s sort   / filter   arrows PgUp PgDn scroll"


def print_plainly(folder: bytes, delay: float, frames: int) -> None:
    """Print the table without colours, *frames* times."""
    rows, paper = Rows(folder), Paper(colours=False)
    for frame in range(frames):
        if frame:
            time.sleep(delay)
        found = rows.look()
        if rows.trouble:
            raise Temporary(b"unable to read directory %s: %s" % (folder, rows.trouble.encode()))
        lines = [line.rstrip() + "\n" for line in paper.table(found, slice(None))]
        write_all(1, "".join(lines).encode(errors="replace"))


def watch(folder: bytes, delay: float, frames: int | None) -> None:
    """Show the table on the terminal until somebody has seen enough."""
    rows, signals = Rows(folder), Signals(*ENDS, signal.SIGTSTP, signal.SIGWINCH)
    with Screen() as screen:
        try:
            Live(rows, screen, signals).run(delay, frames)
        except OSError as error:
            if error.errno != errno.EIO:  # the terminal has hung up
                raise


class Live:
    """The table on a screen."""

    def __init__(self, rows: Rows, screen: Screen, signals: Signals) -> None:
        self.rows, self.screen, self.signals = rows, screen, signals
        self.paper, self.view = Paper(colours=True), View()
        self.found: list[Row] = []
        self.ended = False

    def run(self, delay: float, frames: int | None) -> None:
        """Draw a frame every *delay* seconds, *frames* at most, and between them when a key or the size asks for it."""
        frame = 0
        while not self.ended and frame != frames:
            frame += 1
            self.found = self.rows.look()
            self.draw()
            end = time.monotonic() + delay
            while frame != frames and not self.ended and (left := end - time.monotonic()) > 0:
                if self.listen(left):
                    self.draw()

    def listen(self, seconds: float) -> bool:
        """Wait for keys and signals, *seconds* at most; whether there were any."""
        poll = select.poll()
        poll.register(self.signals, select.POLLIN)
        if self.screen.keyboard:
            poll.register(0, select.POLLIN)
        ready = dict(poll.poll(math.ceil(seconds * 1000)))
        if 0 in ready:
            room = self.screen.measure().lines - BESIDES
            self.ended = not all(self.view.press(key, room) for key in self.screen.pressed())
        arrived = self.signals.arrived()
        if arrived & ENDS:
            self.ended = True
        elif signal.SIGTSTP in arrived:
            self.stop()
        return bool(ready)

    def stop(self) -> None:
        """Give the terminal back until somebody has us go on."""
        self.screen.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.screen.begin()

    def draw(self) -> None:
        """Draw what is to be seen now."""
        width, height = self.screen.measure()
        rows = self.view.arrange(self.found)
        room = max(0, height - BESIDES)
        shown = self.view.shown(len(rows), room)
        table = self.paper.table(rows, shown, width)
        lines = [self.paper.line(self.title(), width, "bold"), *table]
        lines += [""] * (height - 1 - len(lines))
        self.screen.draw(
            [*lines[: height - 1], self.paper.line(self.foot(len(rows), shown).ljust(width), width, "reverse")]
        )

    def title(self) -> str:
        """The line above the table."""
        folder = harmless(self.rows.folder)
        if self.rows.trouble:
            return f"{self.rows.trouble}: {folder}"
        services = [row for row in self.found if not row.log]
        up = sum(row.state.startswith("up") for row in services)
        clock = time.strftime("%H:%M:%S")
        return f"{clock}   {len(services)} services, {up} up   by {self.view.order}   {folder}"

    def foot(self, count: int, shown: slice) -> str:
        """The line below it."""
        if self.view.typing:
            return f"/{self.view.pattern}_   Enter keep   Esc drop"
        names = f"   names with {self.view.pattern}" if self.view.pattern else ""
        lines = f"{shown.start + 1}-{shown.stop} of {count}" if count else "nothing here"
        return f"{HELP}   {lines}{names}"
