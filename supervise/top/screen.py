"""A terminal as a screen: drawn on line by line, given back as it was."""

from __future__ import annotations

import os
import re
import select
import termios

from supervise.fd import write_all
from supervise.top.view import DOWN, END, ENTER, ESCAPE, HOME, PAGE_DOWN, PAGE_UP, RUB_OUT, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

BEGIN = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"  # the other screen, without a cursor, without going on in the next line
GIVE_BACK = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
USUAL = os.terminal_size((80, 24))
MOMENT = 50  # milliseconds in which the rest of a key comes
LFLAG = 3  # of what tcgetattr returns

KEY = re.compile(rb"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|[\xc0-\xff][\x80-\xbf]+|.", re.DOTALL)
BEGUN = re.compile(rb"\x1b(\[[0-9;]*|O)?$")  # perhaps a key that has not come wholly

KEYS = {
    **dict.fromkeys((b"\x1b[A", b"\x1bOA"), UP),
    **dict.fromkeys((b"\x1b[B", b"\x1bOB"), DOWN),
    **dict.fromkeys((b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"), HOME),
    **dict.fromkeys((b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"), END),
    b"\x1b[5~": PAGE_UP,
    b"\x1b[6~": PAGE_DOWN,
    **dict.fromkeys((b"\r", b"\n"), ENTER),
    **dict.fromkeys((b"\x7f", b"\b"), RUB_OUT),
    b"\x1b": ESCAPE,
}


class Screen:
    """The terminal on descriptor 1, and its keys on descriptor 0 if that is one too.

    In a `with` block it is ours; after it, whatever happened, it is as before.
    """

    def __init__(self) -> None:
        self.keyboard = os.isatty(0)
        self.last: list[bytes] = []
        self.size = USUAL

    def __enter__(self) -> Screen:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()

    def begin(self) -> None:
        """Take the terminal."""
        if self.keyboard:
            self.mode = termios.tcgetattr(0)
            ours = [*self.mode]
            ours[LFLAG] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(0, termios.TCSADRAIN, ours)
        self.last = []
        write_all(1, BEGIN)

    def give_back(self) -> None:
        """Leave the terminal as it was; it may be gone."""
        try:
            write_all(1, GIVE_BACK)
        except OSError:
            pass
        try:
            if self.keyboard:
                termios.tcsetattr(0, termios.TCSADRAIN, self.mode)
        except termios.error:
            pass

    def measure(self) -> os.terminal_size:
        """The size of the terminal now."""
        size = os.get_terminal_size(1)
        if size != self.size:
            self.last = []
        self.size = size
        return size if size.columns and size.lines else USUAL

    def draw(self, lines: list[str]) -> None:
        """Have *lines* on the screen, and nothing else; what is there already is not written again."""
        new = [line.encode(errors="replace") for line in lines]
        text = b"" if self.last else b"\x1b[2J"
        for number, line in enumerate(new):
            if number >= len(self.last) or line != self.last[number]:
                text += b"\x1b[%d;1H\x1b[2K%b" % (number + 1, line)
        if len(new) < len(self.last):
            text += b"\x1b[%d;1H\x1b[J" % (len(new) + 1)
        if text:
            write_all(1, text)
        self.last = new

    def pressed(self) -> list[str]:
        """The keys that have been pressed, once descriptor 0 is readable.

        A key is the character that it writes, or one of the words of `view`; others are left out.
        """
        data = os.read(0, 4096)
        if BEGUN.search(data) and self.more():
            data += os.read(0, 4096)
        self.keyboard = bool(data)  # at its end there are no more keys
        found = (KEYS.get(each) or each.decode(errors="ignore") for each in KEY.findall(data))
        return [key for key in found if len(key) > 1 or key.isprintable()]

    def more(self) -> bool:
        """Whether the rest of a key comes at once."""
        poll = select.poll()
        poll.register(0, select.POLLIN)
        return bool(poll.poll(MOMENT))
