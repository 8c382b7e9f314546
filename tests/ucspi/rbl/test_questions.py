"""Several questions at once, to name servers that are slow, silent, or not whom we asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from blocklists import ask, refusal

from supervise.errors import Temporary
from ucspi.rbl import questions
from ucspi.rbl.questions import Questions

Decide = Callable[[list[dns.message.Message]], list[tuple[int, bytes]]]


class NameServer(threading.Thread):
    """A name server on loopback.

    Args:
        decide: called with all questions so far whenever one has come; says what is sent to which of them now.
    """

    def __init__(self, decide: Decide) -> None:
        super().__init__(daemon=True)
        self.decide = decide
        self.asked: list[dns.message.Message] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def run(self) -> None:
        clients = []
        while True:
            wire, client = self.socket.recvfrom(65535)
            if not wire:
                return
            self.asked.append(dns.message.from_wire(wire))
            clients.append(client)
            for number, sent in self.decide(self.asked):
                self.socket.sendto(sent, clients[number])

    def names(self) -> list[str]:
        """The names asked for, without the address in front."""
        return [question.question[0].name.to_text()[len("1.2.0.192.") : -1] for question in self.asked]


@contextmanager
def serving(decide: Decide) -> Iterator[NameServer]:
    """Run a name server."""
    server = NameServer(decide)
    server.start()
    try:
        yield server
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", server.socket.getsockname())
        server.join()
        server.socket.close()


def answer(question: dns.message.Message, *texts: str, code: dns.rcode.Rcode = dns.rcode.NOERROR) -> bytes:
    """The answer to *question* with *texts*."""
    response = dns.message.make_response(question)
    response.set_rcode(code)
    if texts:
        response.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "TXT", *texts))
    return response.to_wire()


def texts(cache: str, monkeypatch: pytest.MonkeyPatch, name: bytes = b"list.example") -> list[bytes]:
    """The texts that *cache* gives for *name*; nothing is left open."""
    monkeypatch.setenv("DNSCACHEIP", cache)
    with Questions() as several:
        records = several.ask(name, "TXT")()
    assert all(question.asking is None for question in several.questions)
    return [b"".join(record.strings) for record in records]


def test_no_list_waits_for_the_answer_of_another() -> None:
    def when_all_have_come(asked: list[dns.message.Message]) -> list[tuple[int, bytes]]:
        names = {question.question[0].name for question in asked}
        return [(number, answer(question)) for number, question in enumerate(asked)] if len(names) == 3 else []

    with serving(when_all_have_come) as server:
        out = ask("-r", "one.example", "-a", "two.example", "-r", "three.example", cache=server.address).out
    assert out == b"served\n"
    assert set(server.names()) == {"one.example", "two.example", "three.example"}


def test_the_order_of_the_lists_decides_and_not_that_of_the_answers() -> None:
    def first_one_last(asked: list[dns.message.Message]) -> list[tuple[int, bytes]]:
        name = asked[-1].question[0].name.to_text()
        first_time = sum(question.question[0].name.to_text() == name for question in asked) == 1
        return [] if "one" in name and first_time else [(len(asked) - 1, answer(asked[-1], name[10:-1]))]

    with serving(first_one_last) as server:
        out = ask("-r", "one.example", "-r", "two.example", cache=server.address).out
    assert out == refusal("451 one.example")
    assert server.names() == ["one.example", "two.example", "one.example"]


def test_who_stays_silent_is_asked_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "PATIENCE", (0.05, 0.1, 0.1))
    with serving(lambda asked: []) as server, pytest.raises(Temporary, match=r"list\.example"):
        texts(server.address, monkeypatch)
    assert len(server.asked) == 3
    assert len({question.id for question in server.asked}) > 1  # nobody can guess the next one


def test_a_second_cache_answers_for_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: []) as silent, serving(lambda asked: [(0, answer(asked[0], "yes"))]) as other:
        assert texts(f"{silent.address} {other.address}", monkeypatch) == [b"yes"]
    assert len(silent.asked) == len(other.asked) == 1


def test_what_is_no_answer_to_the_question_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def noise_first(asked: list[dns.message.Message]) -> list[tuple[int, bytes]]:
        other_id = bytes([asked[0].id >> 8 ^ 1, asked[0].id & 0xFF])
        true = answer(asked[0], "true")
        false = answer(asked[0], "false")
        other_name = answer(dns.message.make_query("other.example", "TXT", id=asked[0].id), "false")
        return [(0, sent) for sent in (b"x", false[:20], other_id + false[2:], asked[0].to_wire(), other_name, true)]

    with serving(noise_first) as server:
        assert texts(server.address, monkeypatch) == [b"true"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_who_cannot_answer_is_asked_once(code: dns.rcode.Rcode, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: [(len(asked) - 1, answer(asked[-1], code=code))]) as server:
        with pytest.raises(Temporary):
            texts(server.address, monkeypatch)
        assert len(server.asked) == 1


def test_there_may_surely_be_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in dns.rcode.NXDOMAIN, dns.rcode.NOERROR:
        with serving(lambda asked, code=code: [(0, answer(asked[0], code=code))]) as server:  # type: ignore[misc]
            assert texts(server.address, monkeypatch) == []


def test_what_contradicts_itself_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    contradiction: Decide = lambda asked: [(0, answer(asked[0], "yes", code=dns.rcode.NXDOMAIN))]  # noqa: E731
    with serving(contradiction) as server, pytest.raises(Temporary):
        texts(server.address, monkeypatch)
