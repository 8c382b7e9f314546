"""Several questions to the domain name system, all on their way at once.

So a slow list of addresses costs its own time only, and none when one before it has decided.

Each question goes by UDP to one cache after the other, and is repeated with growing patience.  A cache that fails
or cannot be reached is left out.  An answer that is too long for UDP is fetched by TCP when it is wanted.
"""

from __future__ import annotations

import select
import socket
import time

from supervise.errors import Temporary
from ucspi.dns import PAYLOAD, PORT, ask, find_name, load, resolver
from ucspi.ip import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dns.message import Message, QueryMessage
    from dns.nameserver import Nameserver

    Cache = tuple[str, int]
    Answer = Callable[[], list[Any]]

PATIENCE = (1.0, 3.0, 11.0, 15.0)  # seconds for each attempt; with one cache as long as `ucspi.dns` waits
LARGEST = 65535  # bytes of an answer


class Questions:
    """Questions on their way.  Leaving the `with` block gives up those that nobody has waited for."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.caches: list[Cache] | None = None

    def __enter__(self) -> Questions:
        return self

    def __exit__(self, *reason: object) -> None:
        for question in self.questions:
            question.stop()

    def ask(self, name: bytes, kind: str) -> Answer:
        """Ask for the records of type *kind* at *name*.

        Returns:
            what waits for the answer: the records, as dnspython has them, none if there surely are none.
            It raises `Temporary` when we cannot know.
        """
        if self.caches is None:
            load()
            self.caches = known_caches()
        question = Question(name, kind, self.caches)
        self.questions.append(question)
        return lambda: self.answer(question)

    def answer(self, question: Question) -> list[Any]:
        """Wait for the records that answer *question*.

        Raises:
            Temporary: we cannot know.
        """
        while question.asking:
            self.wait()
        return question.answer()

    def wait(self) -> None:
        """Wait until something happens to a question."""
        asking = {question.asking.fileno(): question for question in self.questions if question.asking}
        poll = select.poll()
        for fd in asking:
            poll.register(fd, select.POLLIN)
        left = min(question.deadline for question in asking.values()) - time.monotonic()
        arrived = {fd for fd, _ in poll.poll(max(left, 0) * 1000 + 1)}
        now = time.monotonic()
        for fd, question in asking.items():
            if fd in arrived:
                question.receive()
            if question.asking and question.deadline <= now:  # whatever else comes all the time
                question.send()


class Question:
    """One question; *asking* is its socket as long as it is on its way."""

    def __init__(self, name: bytes, kind: str, caches: list[Cache]) -> None:
        self.name, self.kind = name, kind
        self.attempts = [(cache, seconds) for seconds in PATIENCE for cache in caches]
        self.asking: socket.socket | None = None
        self.records: list[Any] | None = None
        self.too_long = False
        self.send()

    def answer(self) -> list[Any]:
        """The records, when nothing is on its way any more.

        Raises:
            Temporary: we cannot know.
        """
        if self.too_long:
            return ask(self.name, self.kind)
        if self.records is None:
            raise Temporary(b"unable to look up " + self.name)
        return self.records

    def send(self) -> None:
        """Ask the next cache, if there is one."""
        import dns.message as messages

        self.stop()
        name = find_name(self.name)
        if name is None or not self.attempts:
            return
        self.cache, seconds = self.attempts.pop(0)
        self.deadline = time.monotonic() + seconds
        self.query: Message = messages.make_query(name, self.kind, use_edns=0, payload=PAYLOAD)
        try:
            self.asking = socket.socket(family(self.cache[0]), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.asking.connect(self.cache)
            self.asking.send(self.query.to_wire())
        except OSError:
            self.leave_out()

    def receive(self) -> None:
        """Take what has come."""
        import dns.exception
        import dns.flags
        import dns.rcode

        certain = dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN
        try:
            response = self.response()
            if response is None:
                return
            self.too_long = bool(response.flags & dns.flags.TC)
            if self.too_long:
                self.stop()
            elif response.rcode() in certain:
                self.records = list(response.resolve_chaining().answer or ())
                self.stop()
            else:
                self.leave_out()
        except (OSError, dns.exception.DNSException):  # nobody is there, or aliases lead nowhere
            self.leave_out()

    def response(self) -> QueryMessage | None:
        """The response to our question, or None: something else has come, which may be from anybody.

        Raises:
            OSError: nobody is there.
        """
        import dns.exception
        import dns.message as messages

        assert self.asking
        try:
            response = messages.from_wire(self.asking.recv(LARGEST))
        except (BlockingIOError, dns.exception.DNSException, ValueError):
            return None
        if isinstance(response, messages.QueryMessage) and self.query.is_response(response):
            return response
        return None

    def leave_out(self) -> None:
        """Ask another cache, and this one no more."""
        self.attempts = [attempt for attempt in self.attempts if attempt[0] != self.cache]
        self.send()

    def stop(self) -> None:
        """Listen for no answer."""
        if self.asking:
            self.asking.close()
            self.asking = None


def known_caches() -> list[Cache]:
    """Whom we ask; nobody, when what should tell us cannot be read."""
    import dns.exception

    try:
        return [place(known) for known in resolver().nameservers]
    except (dns.exception.DNSException, OSError, ValueError):
        return []


def place(known: str | Nameserver) -> Cache:
    """Where the cache is that a resolver has as *known*."""
    return (known, PORT) if isinstance(known, str) else (known.answer_nameserver(), known.answer_port())
