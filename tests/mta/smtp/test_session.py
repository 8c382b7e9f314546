"""Dialogues with a session: no socket, no file, no queue."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.received import Connection
from mta.smtp.policy import Addresses, Policy, Rcpthosts
from mta.smtp.session import LARGEST_ENVELOPE, LONGEST_LINE, Session
from supervise.errors import Temporary

CLIENT = {b"TCPREMOTEIP": b"192.0.2.7", b"TCPREMOTEHOST": b"client.example", b"TCPLOCALHOST": b"mx.af.mil"}
RECEIVED = b"Received: from client.example (192.0.2.7)\n  by mx.af.mil with SMTP; 1 Jan 1970 00:16:40 -0000\n"
ENVELOPE = b"MAIL FROM:<joe@irs.gov>\r\nRCPT TO:<bill@heaven.af.mil>\r\n"


class Queue:
    """Takes messages, or gives a *verdict* against them."""

    def __init__(self, verdict: bytes = b"") -> None:
        self.verdict = verdict
        self.taken: list[tuple[bytes, bytes, list[bytes]]] = []
        self.begun = self.abandoned = 0

    def submission(self) -> Submission:
        self.begun += 1
        return Submission(self)


class Submission:
    pid = 77

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.content = b""

    def write(self, data: bytes) -> None:
        self.content += data

    def send(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        if not self.queue.verdict:
            self.queue.taken.append((self.content, sender, list(recipients)))
        return self.queue.verdict

    def abandon(self) -> None:
        self.queue.abandoned += 1


def session(queue: Queue, policy: Policy | None = None) -> Session:
    policy = policy or Policy(Rcpthosts([b"heaven.af.mil"], b"/nonexistent"), [b"bad@irs.gov"])
    return Session(b"heaven.af.mil", policy, Connection(CLIENT), queue.submission, lambda: 1000.9)  # type: ignore[arg-type]


def talk(
    text: bytes, queue: Queue | None = None, policy: Policy | None = None, size: int = 1 << 20
) -> tuple[bytes, int | None]:
    """All that a session says to *text*, which comes *size* bytes at a time, and its exit code."""
    talking = session(queue or Queue(), policy)
    said = b"".join(reply for at in range(0, len(text), size) for reply in talking.feed(text[at : at + size]))
    talking.close()
    return said, talking.code


def test_a_message_is_accepted() -> None:
    queue = Queue()
    said, code = talk(
        b"HELO client.example\r\n" + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n", queue
    )
    assert said == (
        b"250 heaven.af.mil\r\n250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok 1000 qp 77\r\n221 heaven.af.mil\r\n"
    )
    assert code == 0
    assert queue.taken == [(RECEIVED + b"Subject: x\n\nhello\n", b"joe@irs.gov", [b"bill@heaven.af.mil"])]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_it_does_not_matter_in_which_pieces_the_client_sends(size: int) -> None:
    text = ENVELOPE + b"DATA\r\n..\r\nx\r\n.\r\n" + ENVELOPE + b"DATA\r\nsecond\r\n.\r\nQUIT\r\n"
    queue, reference = Queue(), Queue()
    assert talk(text, queue, size=size) == talk(text, reference)
    assert queue.taken == reference.taken
    assert len(queue.taken) == 2


def test_replies_to_pipelined_commands_come_together_and_the_answer_to_a_message_at_once() -> None:
    text = b"EHLO x\r\n" + ENVELOPE + b"DATA\r\nx\r\n.\r\nRSET\r\n" + ENVELOPE
    assert [reply.count(b"\r\n") for reply in session(Queue()).feed(text)] == [7, 3]


@pytest.mark.parametrize(
    ("text", "replies"),
    [
        (b"RCPT TO:<x>\r\n", b"503 MAIL first (#5.5.1)\r\n"),
        (b"DATA\r\n", b"503 MAIL first (#5.5.1)\r\n"),
        (b"MAIL FROM:<x>\r\nDATA\r\n", b"250 ok\r\n503 RCPT first (#5.5.1)\r\n"),
        (ENVELOPE + b"RSET\r\nDATA\r\n", b"250 ok\r\n250 ok\r\n250 flushed\r\n503 MAIL first (#5.5.1)\r\n"),
        (ENVELOPE + b"HELO\r\nDATA\r\n", b"250 ok\r\n250 ok\r\n250 heaven.af.mil\r\n503 MAIL first (#5.5.1)\r\n"),
        (ENVELOPE + b"MAIL FROM:<y>\r\nDATA\r\n", b"250 ok\r\n250 ok\r\n250 ok\r\n503 RCPT first (#5.5.1)\r\n"),
        (b"NOOP\n\r\nNOOP\tx\r\nhelp\r\n", b"250 ok\r\n" + b"502 unimplemented (#5.5.1)\r\n" * 2 + b"214 "),
        (b"NOOP\0junk\r\nVRFY\r\n", b"250 ok\r\n252 send some mail, i'll try my best\r\n"),
        (b"MAIL FROM:<bad@irs.gov>\r\nRCPT TO:<x>\r\n", b"250 ok\r\n553 sorry, your envelope sender "),
        (b"MAIL FROM:<x>\r\nRCPT TO:<x@y>\r\n", b"250 ok\r\n553 sorry, that domain isn't in my list"),
    ],
)
def test_commands_are_answered(text: bytes, replies: bytes) -> None:
    said, code = talk(text)
    assert said.startswith(replies)
    assert code is None


EHLO = b"250-heaven.af.mil\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
TOO_LARGE = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"


@pytest.mark.parametrize(
    ("databytes", "announced", "reply"),
    [
        (0, [], EHLO),
        (1000, [], EHLO),
        (0, [b"SIZE"], EHLO),
        (1000, [b"SIZE"], EHLO.replace(b"250 8", b"250-SIZE 1000\r\n250 8")),
    ],
)
def test_size_is_announced_if_it_is_to_be_and_there_is_a_limit(
    databytes: int, announced: list[bytes], reply: bytes
) -> None:
    policy = Policy(Rcpthosts(None, b""), databytes=databytes, announced=frozenset(announced))
    assert talk(b"EHLO x\r\n", policy=policy)[0] == reply


@pytest.mark.parametrize(
    ("parameters", "reply"),
    [
        (b"FROM:<a@b> SIZE=1000", b"250 ok\r\n"),
        (b"FROM:<a@b> SIZE=1001", TOO_LARGE),
        (b"FROM:<a@b> BODY=8BITMIME size=99999999999999999999999", TOO_LARGE),
        (b'FROM:<"a>b SIZE=1 "@c> SIZE=1001', TOO_LARGE),
        (b'FROM:<"a SIZE=1001 b"@c>', b"250 ok\r\n"),
        (b"FROM:a@b SIZE=1001", TOO_LARGE),
        (b"FROM:<> SIZE=1001", TOO_LARGE),
        (b"FROM:<a@b> SIZE=junk", b"250 ok\r\n"),
        (b"FROM:<a@b> SIZE", b"250 ok\r\n"),
        (b"FROM:<a@b> XSIZE=1001", b"250 ok\r\n"),
    ],
)
def test_a_message_that_is_said_to_be_too_large_is_refused_at_mail(parameters: bytes, reply: bytes) -> None:
    text = b"MAIL %s\r\n" % parameters
    announcing = Policy(Rcpthosts(None, b""), databytes=1000, announced=frozenset([b"SIZE"]))
    assert talk(text, policy=announcing)[0] == reply
    assert talk(text, policy=Policy(Rcpthosts(None, b""), databytes=1000))[0] == b"250 ok\r\n"


def test_after_a_refused_mail_no_recipient_is_taken_for_an_earlier_one() -> None:
    policy = Policy(Rcpthosts(None, b""), databytes=1000, announced=frozenset([b"SIZE"]))
    said, _ = talk(b"MAIL FROM:<a>\r\nMAIL FROM:<b> SIZE=2000\r\nRCPT TO:<x>\r\n", policy=policy)
    assert said == b"250 ok\r\n" + TOO_LARGE + b"503 MAIL first (#5.5.1)\r\n"


def test_a_size_that_was_said_binds_nobody() -> None:
    policy = Policy(Rcpthosts(None, b""), databytes=10, announced=frozenset([b"SIZE"]))
    said, _ = talk(b"MAIL FROM:<a> SIZE=3\r\nRCPT TO:<x>\r\nDATA\r\n1234567890\r\n.\r\n", policy=policy)
    assert said.endswith(b"354 go ahead\r\n" + TOO_LARGE)


def test_bad_recipients_are_refused_one_by_one_to_relay_clients_too() -> None:
    queue = Queue()
    policy = Policy(
        Rcpthosts(None, b""), relayclient=b"", badrcptto=Addresses([b"Old@heaven.af.mil", b"@evil.example"])
    )
    text = b"MAIL FROM:<a>\r\n" + b"".join(
        b"RCPT TO:<%s>\r\n" % recipient
        for recipient in (b"old@HEAVEN.af.mil", b"new@heaven.af.mil", b"any@evil.example", b"any@x.evil.example")
    )
    bad = b"553 sorry, that recipient is in my badrcptto list (#5.7.1)\r\n"
    said, _ = talk(text + b"DATA\r\n.\r\n", queue, policy)
    assert said.startswith(b"250 ok\r\n" + bad + b"250 ok\r\n" + bad + b"250 ok\r\n354 go ahead\r\n")
    assert queue.taken[0][2] == [b"new@heaven.af.mil", b"any@x.evil.example"]


def test_recipients_beyond_the_limit_are_put_off_and_the_next_message_has_room_again() -> None:
    queue = Queue()
    text = b"MAIL FROM:<a>\r\n" + b"".join(b"RCPT TO:<%d>\r\n" % n for n in range(3)) + b"DATA\r\n.\r\n"
    said, _ = talk(text * 2, queue, Policy(Rcpthosts(None, b""), maxrcpt=2))
    assert said.count(b"250 ok\r\n250 ok\r\n452 too many recipients (#4.5.3)\r\n354 go ahead\r\n") == 2
    assert [recipients for _, _, recipients in queue.taken] == [[b"0", b"1"]] * 2


def test_nothing_after_quit_is_read() -> None:
    queue = Queue()
    assert talk(b"QUIT\r\n" + ENVELOPE + b"DATA\r\n.\r\n", queue) == (b"221 heaven.af.mil\r\n", 0)
    assert not queue.begun


def test_an_address_may_have_899_bytes_and_a_longer_one_changes_nothing() -> None:
    long, longer = b"x" * 899, b"x" * 900
    queue = Queue()
    said, _ = talk(
        b"MAIL FROM:<%s>\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n.\r\n"
        % (long, longer, longer, long),
        queue,
    )
    assert said.split(b"\r\n")[:5] == [b"250 ok", *[b"555 syntax error (#5.5.4)"] * 2, b"250 ok", b"354 go ahead"]
    assert [(sender, recipients) for _, sender, recipients in queue.taken] == [(long, [long])]


SMUGGLED = b"MAIL FROM:<evil@x>\r\nRCPT TO:<victim@heaven.af.mil>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n"


@pytest.mark.parametrize(
    "ending",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r\n.\r\r\n",
        b"\r.\r\n",
        b"\r.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\r\n..\r\n",
        b"\r\n. \r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_no_other_ending_smuggles_a_second_message(ending: bytes, size: int) -> None:
    queue = Queue()
    said, code = talk(ENVELOPE + b"DATA\r\nhello" + ending + SMUGGLED, queue, size=size)
    assert [sender for _, sender, _ in queue.taken] in ([], [b"joe@irs.gov"])
    assert all(SMUGGLED[:18] in content for content, _, _ in queue.taken)  # it is text, not a command
    if b"\n" in ending.replace(b"\r\n", b""):
        assert (code, queue.taken, queue.abandoned) == (1, [], 1)
        assert said.endswith(b"354 go ahead\r\n451 See https://cr.yp.to/docs/smtplf.html.\r\n")


@pytest.mark.parametrize(
    ("verdict", "reply"),
    [
        (b"Dqq permanent problem (#5.3.0)", b"554 qq permanent problem (#5.3.0)\r\n"),
        (b"Zqq temporary problem (#4.3.0)", b"451 qq temporary problem (#4.3.0)\r\n"),
    ],
)
def test_the_verdict_of_the_queue_is_passed_on(verdict: bytes, reply: bytes) -> None:
    said, code = talk(ENVELOPE + b"DATA\r\nx\r\n.\r\nNOOP\r\n", Queue(verdict))
    assert said.endswith(b"354 go ahead\r\n" + reply + b"250 ok\r\n")
    assert code is None


@pytest.mark.parametrize("where", ["submission", "write", "send"])
@pytest.mark.parametrize("trouble", [Temporary(b"x"), OSError(24, "x")])
def test_trouble_with_the_queue_is_for_now(where: str, trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> bytes:
        raise trouble

    monkeypatch.setattr(Queue if where == "submission" else Submission, where, fail)
    said, code = talk(ENVELOPE + b"DATA\r\nx\r\n.\r\nNOOP\r\n")
    assert b"451 qqt failure (#4.3.0)\r\n" in said
    assert b"qp" not in said
    assert code is None


def test_looping_wins_over_size_and_size_over_the_queue() -> None:
    policy = Policy(Rcpthosts(None, b""), databytes=10)
    looping = ENVELOPE + b"DATA\r\n" + b"Received: x\r\n" * 100 + b".\r\n"
    assert talk(looping, Queue(b"Zx"), policy)[0].endswith(b"554 too many hops, this message is looping (#5.4.6)\r\n")
    large = ENVELOPE + b"DATA\r\n1234567890\r\n.\r\n"
    assert talk(large, Queue(b"Zx"), policy)[0].endswith(
        b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
    )


@pytest.mark.parametrize(("limit", "taken"), [(7, 0), (8, 1), (0, 1)])
def test_the_size_is_that_of_the_message_without_the_received_line(limit: int, taken: int) -> None:
    queue = Queue()
    talk(ENVELOPE + b"DATA\r\n..34\r\n678\r\n.\r\n", queue, Policy(Rcpthosts(None, b""), databytes=limit))
    assert (len(queue.taken), queue.abandoned) == (taken, 1 - taken)


def test_a_message_that_is_refused_for_its_size_is_not_kept() -> None:
    queue = Queue()
    talking = session(queue, Policy(Rcpthosts(None, b""), databytes=1000))
    list(talking.feed(ENVELOPE + b"DATA\r\n"))
    tracemalloc.start()
    for _ in range(200):
        list(talking.feed(b"x" * 65536))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert queue.abandoned == 1


def test_a_client_that_goes_away_leaves_nothing_in_the_queue() -> None:
    queue = Queue()
    talk(ENVELOPE + b"DATA\r\nhello\r\n.\r", queue)
    assert (queue.begun, queue.abandoned, queue.taken) == (1, 1, [])


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        (b"MAIL FROM:<", b"555 syntax error (#5.5.4)\r\n"),
        (b"RCPT TO:<", b"555 syntax error (#5.5.4)\r\n"),
        (b"RCPT TO:<@", b"555 syntax error (#5.5.4)\r\n"),
        (b"HELO ", b"250 heaven.af.mil\r\n"),
        (b"X", b"502 unimplemented (#5.5.1)\r\n"),
        (b"NOOP ", b"250 ok\r\n"),
    ],
)
def test_a_line_of_ten_megabytes_is_answered_in_little_memory(verb: bytes, reply: bytes) -> None:
    talking = session(Queue())
    list(talking.feed(b"MAIL FROM:<a@b>\r\n"))
    chunk = b"x" * 65536
    tracemalloc.start()
    assert list(talking.feed(verb)) == []
    for _ in range(160):
        assert list(talking.feed(chunk)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(talking.feed(b":joe@heaven.af.mil>\r\nRSET\r\n")) == [reply + b"250 flushed\r\n"]
    assert peak < 1 << 20


@pytest.mark.parametrize("size", [65_536, 65_537, 100_000])
def test_a_long_line_is_answered_in_the_same_way_however_it_comes(size: int) -> None:
    line = b"MAIL FROM:<a@b>".ljust(size) + b"\n"
    answers = [list(session(Queue()).feed(line))]
    for cut in 1, 65_535, 65_536, 65_537:
        talking = session(Queue())
        answers.append([*talking.feed(line[:cut]), *talking.feed(line[cut:])])
    expected = b"250 ok\r\n" if size <= LONGEST_LINE else b"555 syntax error (#5.5.4)\r\n"
    assert answers == [[expected]] * 5


def test_recipients_are_kept_in_little_memory() -> None:
    queue = Queue()
    talking = session(queue)
    list(talking.feed(b"MAIL FROM:<a@b>\r\n"))
    tracemalloc.start()
    for at in range(0, 20_000, 1000):
        list(talking.feed(b"".join(b"RCPT TO:<u%d@heaven.af.mil>\r\n" % number for number in range(at, at + 1000))))
    list(talking.feed(b"DATA\r\n"))  # after which the client may take its time
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 19  # bytes; a list of them would take more
    assert b"".join(talking.feed(b".\r\n")).endswith(b"qp 77\r\n")
    assert queue.taken[0][2] == [b"u%d@heaven.af.mil" % number for number in range(20_000)]


def test_recipients_without_end_are_refused_for_now() -> None:
    line = b"RCPT TO:<%s@heaven.af.mil>\r\n" % (b"x" * 880)
    talking = session(Queue())
    list(talking.feed(b"MAIL FROM:<a@b>\r\n"))
    said = b"".join(reply for _ in range(LARGEST_ENVELOPE // 880 // 50 + 1) for reply in talking.feed(line * 50))
    assert said.startswith(b"250 ok\r\n")
    assert said.endswith(b"452 too many recipients (#4.5.3)\r\n")


def test_a_damaged_list_of_hosts_ends_the_session_for_now(tmp_path: object) -> None:
    bad = bytes(str(tmp_path), "ascii") + b"/bad.cdb"
    with open(bad, "wb") as file:
        file.write(b"x")
    said, code = talk(b"MAIL FROM:<a>\r\nRCPT TO:<x@y>\r\nNOOP\r\n", policy=Policy(Rcpthosts([], bad)))
    assert (said, code) == (b"250 ok\r\n421 unable to read controls (#4.3.0)\r\n", 1)


def test_no_memory_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(Policy, "named", fail)
    assert talk(b"NOOP\r\nMAIL FROM:<a>\r\n") == (b"250 ok\r\n421 out of memory (#4.3.0)\r\n", 1)


SPECIALS = (b" ", b"\r\n", b"\r\n", b"\r\n.\r\n", b"\r", b"\n", b"\0", b"\xff", ENVELOPE, ENVELOPE + b"DATA\r\n")
VERBS = b'HELO EHLO MAIL RCPT DATA RSET NOOP FROM: TO: < > " \\ @ heaven.af.mil [127.0.0.1] [IPv6:::1] [ ] . :'
WORDS = st.sampled_from([*VERBS.split(), *SPECIALS])


@settings(max_examples=300)
@given(st.lists(WORDS | st.binary(max_size=5), max_size=40), st.integers(1, 50))
def test_whatever_a_client_says_is_answered_line_by_line(words: list[bytes], size: int) -> None:
    text = b"".join(words)
    queue, pieces = Queue(), Queue()
    said, code = talk(text, queue)
    assert all(line[:3].isdigit() and line[3:4] in b" -" for line in said.split(b"\r\n")[:-1])
    assert b"\n" not in said.replace(b"\r\n", b"")
    assert code in (None, 0, 1)
    assert queue.begun == len(queue.taken) + queue.abandoned
    assert all(sender.find(b"\0") < 0 and len(sender) < 900 for _, sender, _ in queue.taken)
    assert all(b"\0" not in recipient for _, _, recipients in queue.taken for recipient in recipients)
    assert talk(text, pieces, size=size) == (said, code)
    assert pieces.taken == queue.taken
