"""qmail-clean's other side: it removes what belongs to qmailq, because we may not.

Requests are `todo/N` NUL, the envelope goes, and `foop/N` NUL, the message goes; the answer to
each is one byte, `+` for done.  Many requests may be on their way at once; answers come in order.
"""

from __future__ import annotations

import os
from collections import deque

from mta.queue import layout
from mta.send.message import exists
from mta.send.pipe import Requests
from mta.send.watch import AT_ONCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mta.send.state import State
    from mta.send.watch import Watch

REST = 76_431  # seconds between two searches for leftovers


class Cleaner:
    """The connection to qmail-clean.

    Args:
        commands: the pipe to it.
        answers: the pipe from it.
    """

    def __init__(self, state: State, commands: int, answers: int) -> None:
        self.state = state
        self.requests = Requests(commands)
        self.answers = answers
        self.asked: deque[tuple[bytes, Callable[[bool], None]]] = deque()
        self.going: set[int] = set()  # messages that it was asked to remove and has not yet answered for
        self.alive = True

    def wants(self, watch: Watch) -> None:
        if not self.alive:
            return
        watch.read(self.answers)
        if self.requests.waiting:
            watch.write(self.requests.fd)

    def work(self, watch: Watch) -> None:
        if self.alive and watch.ready(self.answers):
            answers = os.read(self.answers, 65536)
            for answer in answers[: len(self.asked)]:
                request, then = self.asked.popleft()
                if answer != ord("+"):
                    self.state.log.warning(b"qmail-clean unable to clean up " + request)
                then(answer == ord("+"))
            if not answers:
                self._died()
        self.flush()

    def flush(self) -> None:
        """Send the requests on their way."""
        if self.alive and not self.requests.flush():
            self._died()

    def remove_todo(self, number: int, then: Callable[[bool], None]) -> None:
        """Have the envelope of message *number* removed; *then* is told whether that was done."""
        self._ask(b"todo/%d" % number, then)

    def remove_message(self, number: int) -> None:
        """Have message *number* removed.

        While that is under way it must not be asked for again: the number may belong to a new
        message as soon as the file is gone.
        """
        self.going.add(number)
        self._ask(b"foop/%d" % number, lambda _: self.going.discard(number))

    def _ask(self, request: bytes, then: Callable[[bool], None]) -> None:
        self.requests.put(request + b"\0")
        self.asked.append((request, then))

    def _died(self) -> None:
        self.alive = False
        self.state.lost(b"qmail-clean")


class Leftovers:
    """Messages that a crash left behind before they were accepted, or after they were done.

    They have neither envelope nor sender.  A submitter gives up within 24 hours, so after 36
    nobody needs them.  One folder is looked through in each turn of the loop.
    """

    def __init__(self, state: State, cleaner: Cleaner) -> None:
        self.state, self.cleaner = state, cleaner
        self.folders: list[bytes] = []  # still to be looked through
        self.next = AT_ONCE

    def wants(self, watch: Watch) -> None:
        if not self.state.leaving:
            watch.until(AT_ONCE if self.folders else self.next)

    def work(self, watch: Watch) -> None:
        if self.state.leaving:
            return
        if not self.folders:
            if watch.now < self.next:
                return
            self.folders = layout.folders(b"mess")
            self.next = watch.now + REST
        folder = self.folders.pop()
        try:
            names = os.listdir(folder)
        except OSError:
            self.state.log.alert(b"unable to opendir %s, sleeping..." % folder)
            return
        for name in names:
            if name.isdigit() and self._left_over(int(name), watch.now):
                self.cleaner.remove_message(int(name))
        self.cleaner.flush()

    def _left_over(self, number: int, now: int) -> bool:
        try:
            return (
                number not in self.cleaner.going
                and os.stat(layout.mess(number)).st_atime + layout.OSSIFIED < now
                and not exists(layout.info(number))
                and not exists(layout.todo(number))
            )
        except OSError:  # it is gone by now, or we cannot tell
            return False
