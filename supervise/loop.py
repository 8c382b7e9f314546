"""A loop that waits for descriptors, and signals as events of it: handlers do nothing, the loop reads what arrived."""

from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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


class Loop:
    """What is waited for, and what is done when it happens.

    A call may add and take away any descriptor, its own too.
    """

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.calls: dict[int, Callable[[], object]] = {}

    def hear(self, fd: int, call: Callable[[], object], events: int = select.EPOLLIN) -> None:
        """Have *call* made whenever *fd* has one of *events*."""
        self.epoll.register(fd, events)
        self.calls[fd] = call

    def forget(self, fd: int) -> None:
        """Wait no longer for *fd*; must come before it is closed."""
        if self.calls.pop(fd, None):
            self.epoll.unregister(fd)

    def wait(self, seconds: float | None) -> None:
        """Wait for something to happen, *seconds* at most (None: for ever), and make the calls."""
        timeout = -1 if seconds is None else max(0.0, seconds)
        due = [(fd, self.calls[fd]) for fd, _ in self.epoll.poll(timeout)]
        for fd, call in due:
            if self.calls.get(fd) is call:  # an earlier call may have taken it away, or put another in its place
                call()

    def close(self) -> None:
        """Wait for nothing any more."""
        self.epoll.close()
