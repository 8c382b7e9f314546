"""Name servers that answer garbage, nonsense, or names that look like something else."""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import dns.name
import dns.rdatatype
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rogue import aliased, named, reply, rogue
from siege import FOREIGN, SHAME, reset, unharmed
from tcp import Server
from until import until

from supervise.errors import Temporary
from ucspi import dns as ours
from ucspi.rbl import questions
from ucspi.rbl.questions import Question, Questions

SAFE = re.compile(rb"[!-~]*")  # printable, without blanks
Answering = Callable[[bytes], Iterable[bytes]]


def other_id(query: bytes) -> bytes:
    return bytes([query[0] ^ 1]) + named(query, b"liar", b"example")[1:]


def truncated(query: bytes) -> bytes:
    wire = reply(query).to_wire()
    return wire[:2] + bytes([wire[2] | 2]) + wire[3:]


def counting(query: bytes) -> bytes:
    """A response that claims to have 65535 answers."""
    return named(query, b"liar", b"example")[:6] + b"\xff\xff" + named(query, b"liar", b"example")[8:]


def pointing(query: bytes) -> bytes:
    """A response with a name that points to itself."""
    head = reply(query).to_wire()
    head = head[:6] + b"\0\1\0\0\0\0" + head[12:].partition(b"\0\0\x29")[0]
    return head + struct.pack("!H", 0xC000 | len(head)) + struct.pack("!HHIH", 12, 1, 60, 2) + b"\xc0\x0c"


def elsewhere(query: bytes) -> bytes:
    """A response to another question."""
    other = dns.name.from_text("other.example").to_wire() + query[-15:-11]  # type: ignore[operator]
    return query[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + other


UNCERTAIN: dict[str, tuple[Answering, Answering]] = {
    "nothing": (lambda query: [b""], lambda query: []),
    "random bytes": (lambda query: [random.Random(1).randbytes(500)] * 3, lambda query: []),
    "the id and random bytes": (lambda query: [query[:2] + random.Random(2).randbytes(500)], lambda query: []),
    "the query": (lambda query: [query], lambda query: []),
    "another id": (lambda query: [other_id(query)], lambda query: []),
    "another question": (lambda query: [elsewhere(query)], lambda query: []),
    "too many answers": (lambda query: [counting(query)], lambda query: []),
    "a pointer loop": (lambda query: [pointing(query)], lambda query: []),
    "an alias loop": (lambda query: [aliased(query, ("?", "a.example."), ("a.example.", "?"))], lambda query: []),
    "an endless chain": (
        lambda query: [aliased(query, ("?", "a0.e."), *((f"a{at}.e.", f"a{at + 1}.e.") for at in range(40)))],
        lambda query: [],
    ),
    "cut off": (lambda query: [named(query, b"liar", b"example")[:-3]], lambda query: []),
    "truncated, and nothing by TCP": (lambda query: [truncated(query)], lambda query: []),
    "truncated, and garbage by TCP": (lambda query: [truncated(query)], lambda query: [b"\0\x64" + b"x" * 100]),
    "truncated, and half by TCP": (lambda query: [truncated(query)], lambda query: [b"\xff\xff" + b"x" * 100]),
    "truncated, and truncated by TCP": (
        lambda query: [truncated(query)],
        lambda query: [struct.pack("!H", len(truncated(query))) + other_id(query)],
    ),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "PATIENCE", 0.1)
    monkeypatch.setattr(ours, "ATTEMPT", 0.05)
    monkeypatch.setattr(questions, "PATIENCE", (0.02, 0.05))


@pytest.mark.parametrize("behaviour", UNCERTAIN)
def test_what_is_no_answer_leaves_us_uncertain(
    behaviour: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rogue(*UNCERTAIN[behaviour]) as cache:
        monkeypatch.setenv("DNSCACHEIP", cache)
        with pytest.raises(Temporary):
            ours.name_of("192.0.2.1")
        with Questions() as asking, pytest.raises(Temporary):
            asking.ask(b"1.2.0.192.list.example", "TXT")()


def test_garbage_that_comes_all_the_time_does_not_prolong_a_question() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with there, Questions() as asking:
        question = waiting(here)
        asking.questions.append(question)
        question.deadline = time.monotonic()
        for _ in range(9):
            there.send(b"garbage")
        asking.wait()
        assert question.asking is None


def waiting(socket: socket.socket) -> Question:
    """A question that waits for an answer on *socket*, and asks nobody else."""
    question = Question(b"1.2.0.192.list.example", "TXT", [("127.0.0.1", 9)])
    question.stop()
    question.attempts.clear()
    socket.setblocking(False)
    question.asking = socket
    return question


STRANGE = {
    b"a\nb": rb"a\012b",
    b"a\r\ntcpserver: ok 1 ": rb"a\015\012tcpserver:\040ok\0401\040",
    b"a\0b": rb"a\000b",
    b"a b\tc": rb"a\040b\011c",
    b"a.b\\c": rb"a\056b\134c",
    b"\x1b[31m\x7f\xff": rb"\033[31m\177\377",
    b"a:b%n=@/": rb"a:b%n=@/",
}


@contextmanager
def looking_up(by_udp: Answering, *program: str) -> Iterator[Server]:
    """A tcpserver that asks a name server, which answers so, for both names of each connection."""
    with rogue(by_udp) as cache, Server(*program, options=("-vRh",), env={"DNSCACHEIP": cache}) as server:
        yield server


@pytest.mark.parametrize("label", STRANGE)
def test_a_name_cannot_forge_a_line_or_a_variable(label: bytes) -> None:
    written = STRANGE[label] + b".example"
    with looking_up(lambda query: [named(query, label, b"example")], "env", "-0") as server:
        variables = server.ask().split(b"\0")
        log = server.logged("status: 0/40", 2)
    for name in b"TCPREMOTEHOST", b"TCP6REMOTEHOST", b"TCPLOCALHOST", b"TCP6LOCALHOST":
        assert name + b"=" + written in variables
    shown = re.sub(r"[:%]", "?", written.decode())
    assert [line.split()[1] for line in log.splitlines()] == ["status:", "status:", "pid", "ok", "end", "status:"]
    found = re.search(r"^tcpserver: ok \d+ (\S+):127.0.0.1:\d+ (\S+):127.0.0.1::\d+$", log, re.M)
    assert found
    assert found.groups() == (shown, shown)


def test_the_longest_name_is_had_and_cut_off_in_the_log() -> None:
    labels = [b"\xff" * 63] * 3 + [b"\n" * 61]
    with looking_up(lambda query: [named(query, *labels)], "env") as server:
        found = server.variables()
        log = server.logged("status: 0/40", 2)
    assert found["TCPREMOTEHOST"] == ".".join([r"\377" * 63] * 3 + [r"\012" * 61])
    assert max(map(len, log.splitlines())) < 300
    assert log.count("...:127.0.0.1:") == 2


def test_whatever_the_name_server_says_clients_are_served_and_the_log_is_clean() -> None:
    choices = random.Random(3)
    uncertain = [UNCERTAIN[behaviour][0] for behaviour in UNCERTAIN if re.search("alias|chain|truncated", behaviour)]

    def answer(query: bytes) -> Iterable[bytes]:
        if choices.random() < 0.5:
            return choices.choice(uncertain)(query)
        return [named(query, choices.randbytes(20), b"example")]

    with looking_up(answer, "cat") as server:
        for _ in range(3):
            clients = [server.connect() for _ in range(10)]
            for client in clients:
                client.sendall(b"hello\n")
            assert [client.recv(9) for client in clients] == [b"hello\n"] * 10
            for client in clients:
                client.close()
        until(lambda: server.log().rstrip().endswith("status: 0/40"))
        assert not SHAME.search(server.log())


def test_clients_that_reset_while_their_name_is_asked_for_leave_nothing_behind() -> None:
    may = threading.Event()

    def answer(query: bytes) -> Iterable[bytes]:
        may.wait(20)
        return [named(query, b"host", b"example")]

    with looking_up(answer, "cat") as server:
        may.set()
        with unharmed(server, FOREIGN):
            may.clear()
            for _ in range(15):
                reset(server.connect())
            server.logged(" pid ", 16)
            may.set()
            server.logged(" ok ", 16)


# -- the parts that read ------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
@example([bytes(range(63))])
def test_a_name_is_printable_whatever_its_bytes_are(labels: list[bytes]) -> None:
    name = dns.name.Name([*labels, b""])
    assert SAFE.fullmatch(ours.text(name))
    assert ours.text(name).count(b".") == max(len(labels) - 1, 0)


@given(st.ip_addresses().map(str))
def test_every_address_has_a_name_to_ask_for(address: str) -> None:
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "ask", lambda name, kind: asked.append(name) or [])
        assert ours.name_of(address) is None
    assert ours.find_name(asked[0]) is not None
    assert asked[0].endswith(b".arpa")


def text(query: bytes) -> bytes:
    """A response to *query* with a text."""
    head = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:].partition(b"\0\0\x29")[0]
    return head + b"\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x05\x04text"


def damaged(query: bytes, tail: bytes, flips: list[tuple[int, int]], whole: bool) -> bytes:
    """A response to *query*, or but its beginning, with a *tail* and some bytes changed behind the id."""
    said = bytearray((text(query) if whole else query[:2] + b"\x81\x80") + tail)
    for at, value in flips:
        said[2 + at % (len(said) - 2)] = value
    return bytes(said)


tails = st.binary(max_size=80)
flips = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5)


@settings(deadline=None)
@given(tails, flips, st.booleans())
def test_any_bytes_answer_a_question_or_do_not(tail: bytes, flips: list[tuple[int, int]], whole: bool) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with there:
        question = waiting(here)
        there.send(damaged(question.query.to_wire(), tail, flips, whole))
        question.receive()
        question.stop()
    if question.records is not None:
        assert all(record.rdtype == dns.rdatatype.TXT for record in question.records)


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tails, flips, st.booleans())
def test_any_bytes_are_texts_or_none_or_uncertain(
    impatient: None, tail: bytes, flips: list[tuple[int, int]], whole: bool
) -> None:
    with rogue(lambda query: [damaged(query, tail, flips, whole)]) as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DNSCACHEIP", cache)
        patch.setattr(ours, "PATIENCE", 0.02)
        try:
            found = ours.texts(b"1.2.0.192.list.example")
        except Temporary:
            return
        assert all(isinstance(text, bytes) for text in found)
