"""Mail by QMQP, as null clients send it."""

from __future__ import annotations

import itertools
import os
import re

import pytest
from capture import Home
from commands import Result, run
from crashes import crashes_of
from siege import SHAME
from tcp import Server

from mta.qmtp import qmtpd
from mta.qmtp.netstrings import netstring
from mta.qmtp.qmqpd import main

BAD_ADDRESS = netstring(b"Dsorry, I can't accept addresses like that (#5.1.3)")


def package(message: bytes, *addresses: bytes) -> bytes:
    """A message with its sender and recipients, as QMQP has it."""
    return netstring(netstring(message) + b"".join(map(netstring, addresses)))


HELLO = package(b"Subject: x\n\nhello\n", b"joe@irs.gov", b"bill@else.where", b"sue")
PLAIN = package(b"Subject: x\n\nhello\n", b"joe@irs.gov", b"bill@heaven.af.mil")
PLAIN_QMTP = b"19:\nSubject: x\n\nhello\n,11:joe@irs.gov,22:18:bill@heaven.af.mil,,"


def qmqpd(home: Home, text: bytes, **env: str) -> Result:
    return run("qmail-qmqpd", input=text, env={**home.env, **env})


def accepted(answer: bytes) -> bool:
    return bool(re.fullmatch(rb"\d+:Kok \d+ qp \d+,", answer))


def test_a_message_goes_into_the_queue_for_everybody(home: Home) -> None:
    code, out, err = qmqpd(home, HELLO)
    assert (code, accepted(out), err) == (0, True, b"")
    assert home.queued() == [(b"Subject: x\n\nhello\n", b"Fjoe@irs.gov\0Tbill@else.where\0Tsue\0\0")]
    [message] = home.messages()
    assert message.startswith(b"Received: from client.example (192.0.2.7)\n  by mx.af.mil with QMQP; ")


def test_no_control_file_counts(home: Home) -> None:
    home.control(databytes="1", rcpthosts="nowhere")
    assert accepted(qmqpd(home, HELLO, DATABYTES="1", RELAYCLIENT="@gate").out)
    assert len(home.queued()) == 1


def test_a_message_without_recipients_is_a_message(home: Home) -> None:
    assert accepted(qmqpd(home, package(b"", b"")).out)
    assert home.queued() == [(b"", b"F\0\0")]


@pytest.mark.parametrize("bad", [b"x" * 1000, b"a\0b"], ids=["long", "nul"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_address_that_no_envelope_can_have_refuses_the_message(home: Home, bad: bytes, place: int) -> None:
    addresses = [b"joe", b"bill", b"sue"]
    addresses[place] = bad
    assert qmqpd(home, package(b"x\n", *addresses)).out == BAD_ADDRESS
    assert home.queued() == []


def test_a_bad_address_behind_very_many_good_ones_refuses_the_message(home: Home) -> None:
    """The good ones are on their way to the queue already."""
    many = [b"%d@mx.example" % number for number in range(100_000)]
    assert qmqpd(home, package(b"x\n", b"joe", *many, b"a\0b")).out == BAD_ADDRESS
    assert home.queued() == []
    assert accepted(qmqpd(home, package(b"x\n", b"joe", *many)).out)
    assert home.queued() == [(b"x\n", b"Fjoe\0" + b"".join(b"T%s\0" % address for address in many) + b"\0")]


def test_a_client_that_leaves_among_very_many_recipients_queues_nothing(home: Home) -> None:
    text = package(b"x\n", b"joe", *(b"%d@mx.example" % number for number in range(100_000)))
    for cut in text[:1_000_000], text[:-1]:
        assert qmqpd(home, cut)[:2] == (0, b"")
    assert qmqpd(home, text[:-1] + b";").code == 100
    assert home.queued() == []


def test_a_client_that_leaves_in_the_middle_queues_nothing(home: Home) -> None:
    for cut in range(len(HELLO)):
        assert qmqpd(home, HELLO[:cut]) == (0, b"", b"")
    assert home.queued() == []


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"4:a:b,,",
        b"0" * 101 + HELLO,
        HELLO[:-1] + b";",
        HELLO.replace(b"18:", b"17:"),
        netstring(b"99:abc,"),
        netstring(netstring(b"x")),
        netstring(netstring(b"x") + b"3:joe"),
    ],
)
def test_a_client_that_speaks_something_else_is_left(home: Home, text: bytes) -> None:
    assert qmqpd(home, text + b"and more of it" * 10)[:2] == (100, b"")
    assert home.queued() == []


def test_an_absurd_length_is_none_to_wait_for(home: Home) -> None:
    for text in b"99999999999:", b"9:99999999999:":
        assert qmqpd(home, text.replace(b"9:", b"99:", 1)).code == 111


def test_a_home_that_is_missing_is_said(home: Home) -> None:
    code, out, err = qmqpd(home, HELLO, QMAILHOME="/nonexistent")
    assert (code, out) == (111, b"")
    assert err == b"qmail-qmqpd: fatal: unable to switch to /nonexistent: file does not exist\n"


def test_what_the_queue_says_is_told(home: Home) -> None:
    home.take("exit 31")
    assert qmqpd(home, HELLO).out == netstring(b"Dmail server permanently rejected message (#5.3.0)")
    home.take("cat >/dev/null; kill -9 $$")
    assert qmqpd(home, HELLO).out == netstring(b"Zqq crashed (#4.3.0)")
    assert qmqpd(home, HELLO, QMAILQUEUE="/nonexistent").out == netstring(b"Zunable to exec qq (#4.3.0)")


def test_one_worker_serves_many_clients(home: Home) -> None:
    assert main.again
    with Server("qmail-qmqpd", env=home.env) as server:
        for _ in range(10):
            assert accepted(server.ask(say=HELLO))
            assert server.ask(say=HELLO[:-5]) == b""
        assert len(home.queued()) == 10
        assert len(set(server.pids())) < 15  # of twenty connections
        assert not SHAME.search(server.log())


@pytest.mark.parametrize("protocol", ["qmqp", "qmtp"])
def test_a_kill_at_any_moment_never_leaves_an_accepted_message_out_of_the_queue(
    home: Home, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the server or of what it has started, whoever comes to the call."""
    serve, package = {"qmqp": (main, PLAIN), "qmtp": (qmtpd.main, PLAIN_QMTP)}[protocol]
    (home.folder / "package").write_bytes(package)
    answer = home.folder / "answer"
    for name, value in home.env.items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name, raising=False)
    home.take("cat >{kept}/$STEP.m; cat <&1 >{kept}/$STEP.e")

    def fresh() -> None:
        monkeypatch.setenv("STEP", str(next(steps)))
        answer.unlink(missing_ok=True)

    def act() -> None:
        os.dup2(os.open(home.folder / "package", os.O_RDONLY), 0)
        os.dup2(os.open(answer, os.O_WRONLY | os.O_CREAT, 0o600), 1)
        serve([b"server"])

    steps = itertools.count()
    for step in crashes_of(act, fresh):
        said = answer.read_bytes() if answer.exists() else b""
        if b":K" in said:
            assert (home.kept / f"{step}.m").read_bytes().endswith(b"\n\nhello\n")
            assert (home.kept / f"{step}.e").read_bytes() == b"Fjoe@irs.gov\0Tbill@heaven.af.mil\0\0"
    assert step > 10 and b":K" in said
