"""Signals as events of a loop: handlers do nothing, the loop reads what arrived."""

from __future__ import annotations

import os
import signal


class Signals:
    """A descriptor that becomes readable when one of the signals arrives.

    Poll `fileno()`; `arrived()` says which came since it was asked last; `noted` is true when
    there may be some, so that who polls other things too need not ask for nothing.  Nothing else
    is done in a handler, so nothing needs to be safe there.
    """

    def __init__(self, *numbers: int) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.writing, warn_on_full_buffer=False)
        self.noted = False
        for number in numbers:
            signal.signal(number, self.note)

    def note(self, number: int, frame: object) -> None:
        self.noted = True

    def fileno(self) -> int:
        return self.reading

    def arrived(self) -> set[int]:
        """The signals that came since the last call."""
        numbers: set[int] = set()
        self.noted = False
        try:
            while data := os.read(self.reading, 4096):
                numbers.update(data)
        except BlockingIOError:
            pass
        return numbers

    def close(self) -> None:
        """Stop listening; handlers stay until somebody sets them."""
        signal.set_wakeup_fd(-1)
        os.close(self.reading)
        os.close(self.writing)
