"""A stream of numbered messages into a mail system, and the account of what became of them.

    with Stream(mail, sink) as stream:
        stream.flow(20)        # twenty more are accepted
        ...                    # something terrible happens
        stream.flow(20)
    stream.settle()            # all that were accepted have arrived, whole, here and at the other host

What is not accepted, clients do not try again; a message counts from its 250 on.
"""

from __future__ import annotations

import re
import smtplib
import threading
from types import TracebackType

from instance import Instance
from sink import Sink
from until import until

LINES = 40  # of a message
SESSION = 7  # messages
AHEAD = 15  # messages


def body(number: int) -> str:
    return "".join(f"number {number} line {line}\n" for line in range(LINES)) + f"number {number} ends\n"


class Stream:
    """Clients that send one message after another, each to joe and to somebody at sink.example.

    There are always a few more on their way than `flow` waits for.
    """

    def __init__(self, mail: Instance, sink: Sink, clients: int = 3) -> None:
        self.mail, self.sink = mail, sink
        self.accepted: set[int] = set()
        self.wanted = 0  # how many are to be accepted, at least
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client) for _ in range(clients)]

    def __enter__(self) -> Stream:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def client(self) -> None:
        while not self.stopping:
            try:
                with self.mail.smtp() as client:
                    for _ in range(SESSION):
                        until(lambda: self.stopping or len(self.accepted) < self.wanted + AHEAD, 120)
                        if self.stopping:
                            break
                        self.send(client)
            except (OSError, smtplib.SMTPException):
                until(lambda: self.stopping or self.mail.answers(), 60)

    def send(self, client: smtplib.SMTP) -> None:
        with self.lock:
            number = next(self.mail.numbers)
        text = f"Subject: {number}\n\n{body(number)}"
        client.sendmail("peer@far.example", ["joe@mail.example", "bob@sink.example"], text)
        self.accepted.add(number)

    def flow(self, count: int) -> None:
        """Wait until *count* messages more are accepted."""
        self.wanted = len(self.accepted) + count
        until(lambda: len(self.accepted) >= self.wanted, 40, what=f"{count} messages more to be accepted")

    def settle(self) -> None:
        """Wait until nothing waits for delivery, and look whether all is there."""

        def waiting() -> list[str]:
            return [name for name in self.mail.left() if not name.startswith(("mess/", "intd/", "pid/"))]

        for _ in range(60):
            try:
                until(lambda: not waiting(), 0.5)
                break
            except AssertionError:  # what was deferred when somebody died is tried again
                self.mail.svc("-a", "qmail-send")
        assert not waiting()
        here = [number for message in self.mail.joe.messages() if (number := number_of(message, torn=False))]
        there = [number for message in self.sink.messages() if (number := number_of(message, torn=True))]
        for where, numbers in (("here", set(here)), ("there", set(there))):
            missing = self.accepted - numbers
            assert not missing, f"{len(missing)} of {len(self.accepted)} messages did not arrive {where}: {missing}"


def number_of(message: bytes, torn: bool) -> int:
    """The number of a message of a stream, 0 for any other message, and for a torn one if there may be such."""
    head, _, text = message.decode().replace("\r\n", "\n").partition("\n\n")
    found = re.search(r"^Subject: (\d+)$", head, re.M)
    number = int(found[1]) if found else 0
    whole = text.rstrip("\n") == body(number).rstrip("\n")
    assert whole or torn or not number, f"a torn message: {message!r}"
    return number if whole else 0
