"""Ask for a password on a terminal, which does not show what is typed.

Python's own getpass takes what is typed for text, which a password need not be.
"""

from __future__ import annotations

import os
import signal
import termios

from supervise.errors import Temporary
from supervise.fd import Reader, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

LFLAG = 3
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP)


def ask(prompt: bytes) -> bytes:
    """What is typed behind *prompt*, any bytes, without the line's end.

    It is asked on /dev/tty, and where there is none on descriptors 0 and 2.  A signal that ends us, or stops us,
    finds the terminal as it was; when we go on, *prompt* comes again.

    Raises:
        EOFError: input ends instead.
        Temporary: the terminal cannot be used.
    """
    try:
        own = os.open(b"/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        own = None
    try:
        keyboard, screen = (0, 2) if own is None else (own, own)
        with Hidden(keyboard, screen, prompt):
            line = Reader(keyboard).line()
        write_all(screen, b"\n")
    except (OSError, termios.error) as error:
        raise Temporary(b"unable to use the terminal", OSError(*error.args)) from None
    finally:
        if own is not None:
            os.close(own)
    if line is None:
        raise EOFError
    return line.removesuffix(b"\n")


class Hidden:
    """In a `with` block, *keyboard* shows nothing of what is typed, and *prompt* stands on *screen*.

    Raises:
        termios.error: *keyboard* is no terminal, or is gone.
    """

    def __init__(self, keyboard: int, screen: int, prompt: bytes) -> None:
        self.keyboard, self.screen, self.prompt = keyboard, screen, prompt
        self.before = termios.tcgetattr(keyboard)
        self.hidden = False

    def __enter__(self) -> None:
        # What is ignored, as for a command in the background, stays so.
        self.watched = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]
        for number in self.watched:
            signal.signal(number, self.interrupt)
        try:
            self.hide()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hidden = False
        self.show()
        for number in self.watched:
            signal.signal(number, signal.SIG_DFL)

    def hide(self) -> None:
        """Show nothing from now on, and what was typed before does not count."""
        self.hidden = True
        ours = [*self.before]
        ours[LFLAG] &= ~termios.ECHO
        termios.tcsetattr(self.keyboard, termios.TCSAFLUSH, ours)
        write_all(self.screen, self.prompt)

    def show(self) -> None:
        """Have the terminal as it was, and what was typed too much is for nobody; it may be gone."""
        try:
            termios.tcsetattr(self.keyboard, termios.TCSAFLUSH, self.before)
        except termios.error:
            pass

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Let the signal *number* do what it does, with the terminal as it was."""
        hidden = self.hidden
        self.show()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self.interrupt)  # we were stopped, and go on
        if hidden:
            self.hide()
