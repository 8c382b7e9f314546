"""Whatever is killed while mail flows, mail that was accepted arrives, whole, and mail goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable

import pytest
from commands import run
from instance import Instance
from peer import STALL, Peer, Until
from processes import descendants, has_open, talks_to
from services import children, gone
from sink import Sink
from stream import Stream
from until import until

Find = Callable[[Instance], list[int]]  # the processes that may be killed

VICTIMS: dict[str, Find] = {
    "tcpserver": lambda mail: [mail.pid("qmail-smtpd")],
    "a process of tcpserver": lambda mail: descendants(mail.pid("qmail-smtpd")),
    "qmail-queued": lambda mail: [mail.pid("qmail-queued")],
    "a process of qmail-queued": lambda mail: descendants(mail.pid("qmail-queued")),
    "qmail-send": lambda mail: [mail.pid("qmail-send")],
    "qmail-clean": lambda mail: descendants(mail.pid("qmail-send"), "qmail-clean"),
    "qmail-lspawn": lambda mail: descendants(mail.pid("qmail-send"), "qmail-lspawn")[:1],
    "a process of qmail-lspawn": lambda mail: descendants(VICTIMS["qmail-lspawn"](mail)[0]),
    "qmail-rspawn": lambda mail: descendants(mail.pid("qmail-send"), "qmail-rspawn")[:1],
    "a process of qmail-rspawn": lambda mail: descendants(VICTIMS["qmail-rspawn"](mail)[0]),
    "multilog": lambda mail: [mail.pid("qmail-send/log")],
    "multilog of tcpserver": lambda mail: [mail.pid("qmail-smtpd/log")],
}


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))


def a_victim(mail: Instance, find: Find, turn: int) -> int:
    """One of the processes, another one each turn."""

    def look() -> list[int]:
        try:
            return [pid for pid in find(mail) if pid and not gone(pid)]
        except IndexError:
            return []

    found = until(look, what="somebody to kill")
    return found[turn % len(found)]


def all_up(mail: Instance) -> None:
    """Wait until every service is up again."""
    mail.wait_for_submission()
    mail.wait_for_smtp()
    for service in ("qmail-queued", "qmail-send", "qmail-smtpd"):
        for name in (service, f"{service}/log"):
            until(lambda name=name: not gone(mail.pid(name)), what=f"{name} is up")  # type: ignore[misc]


def check(mail: Instance) -> None:
    """Every message in the queue is in a legal state, and all that is left is being cleaned up after 36 hours."""
    assert mail.run("qmail-setup", "--check", mail.home).out == b""
    for name in mail.left():
        assert name.startswith(("pid/", "mess/", "intd/"))
        (mail.queue / name).unlink()


def massacre(mail: Instance, sink: Sink, victim: str, times: int) -> None:
    with Stream(mail, sink) as stream:
        for turn in range(times):
            stream.flow(10)
            kill(a_victim(mail, VICTIMS[victim], turn))
        stream.flow(20)
    all_up(mail)
    stream.settle()
    check(mail)


@pytest.mark.parametrize("victim", VICTIMS)
def test_no_accepted_mail_is_lost_when_somebody_is_killed(mail: Instance, sink: Sink, victim: str) -> None:
    massacre(mail, sink, victim, 2)


@pytest.mark.long
@pytest.mark.parametrize("victim", VICTIMS)
def test_no_accepted_mail_is_lost_when_somebody_is_killed_often(mail: Instance, sink: Sink, victim: str) -> None:
    massacre(mail, sink, victim, 6)


@pytest.mark.parametrize("service", ["qmail-queued", "qmail-send", "qmail-smtpd", "qmail-send/log"])
def test_a_service_outlives_its_supervise_and_the_next_one_goes_on_with_it(
    mail: Instance, sink: Sink, service: str
) -> None:
    before = mail.pid(service)
    assert mail.svscan
    [supervise] = children(mail.svscan.pid)
    with Stream(mail, sink) as stream:
        stream.flow(10)
        kill(supervise)
        stream.flow(10)
        until(lambda: supervised(mail, service), what="the next supervise")
        assert mail.pid(service) == before
        os.kill(before, signal.SIGTERM)
        stream.flow(20)
    until(lambda: mail.pid(service) not in (0, before), what="the service anew")
    all_up(mail)
    stream.settle()
    check(mail)


def supervised(mail: Instance, service: str) -> bool:
    return run("svok", mail.service / service).code == 0


def test_all_goes_on_without_svscan_and_with_another_one(own: Instance, sink: Sink) -> None:
    with Stream(own, sink) as stream:
        stream.flow(10)
        assert own.svscan
        own.svscan.kill()
        own.svscan.wait()
        stream.flow(10)
        own.start()
        until(lambda: "unable to acquire" in (own.scratch / "svscan.log").read_text())
        stream.flow(20)
    stream.settle()
    check(own)


# -- in the midst of it ----------------------------------------------------------------------


def begin_message(mail: Instance, text: bytes) -> socket.socket:
    """A client that has sent *text* as the beginning of a message."""
    client = mail.smtp()
    client.helo("me")
    client.mail("sue@mail.example")
    client.rcpt("joe@mail.example")
    assert client.docmd("data")[0] == 354
    assert client.sock
    connection, client.sock = client.sock, None
    connection.sendall(text)
    return connection


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_message_whose_receiver_is_killed_half_way_through_leaves_nothing(mail: Instance, size: int) -> None:
    mail.wait_until_empty()
    with begin_message(mail, b"x" * 70 + b"\r\n" + b"half\r\n" * (size // 6)) as client:
        if size > 1 << 20:
            until(mail.left, what="the message on its way to the disk")
        kill(mail.server_of(client))
        with contextlib.suppress(ConnectionResetError):  # it had not read all
            assert client.recv(100) == b""
    mail.wait_until_empty()
    mail.joe.received(mail.send("joe@mail.example"))


def test_a_message_whose_writer_is_killed_half_way_through_is_not_accepted(mail: Instance) -> None:
    mail.wait_until_empty()
    with begin_message(mail, b"half\r\n" * 500_000) as client:
        name = until(lambda: [name for name in mail.left() if name.startswith("mess/")])[0]
        kill(next(pid for pid in descendants(mail.pid("qmail-queued")) if has_open(pid, mail.queue / name)))
        client.sendall(b"more\r\n" * 500_000 + b".\r\n")
        assert client.recv(100).startswith(b"451 ")
    assert mail.left() == [name]
    check(mail)
    mail.joe.received(mail.send("joe@mail.example"))


def test_a_local_delivery_that_is_killed_is_tried_again(mail: Instance) -> None:
    gate = mail.joe.home / "brake"
    os.mkfifo(gate)
    mail.joe.own(gate)
    mail.joe.write(".qmail-brake", "|test -e braked && exit 0; echo $PPID >braked; read line <brake\n./Maildir/\n")
    before = len(mail.log("qmail-send"))
    text = mail.send("joe-brake@mail.example")
    braked = mail.joe.home / "braked"
    until(lambda: braked.exists() and braked.read_text())
    kill(int(braked.read_text()))
    gate.write_text("go\n")  # for the program, which is left alone
    assert "qmail-local_crashed" in mail.logged("qmail-send", ": deferral: ", before)
    mail.svc("-a", "qmail-send")
    mail.joe.received(text)
    mail.wait_until_empty()


def test_a_remote_delivery_that_is_killed_is_tried_again(mail: Instance, sink: Sink) -> None:
    with Peer([b"220 hi\r\n", Until(b"\r\n"), b"250 ok\r\n", Until(b"\r\n"), STALL]) as peer:
        mail.route("stalled.example", peer.port)
        before = len(mail.log("qmail-send"))
        text = mail.send("bob@stalled.example")
        until(lambda: peer.heard and b"MAIL" in peer.heard[0])
        kill(next(pid for pid in descendants(mail.pid("qmail-send")) if talks_to(pid, peer.port)))
        assert "qmail-remote_crashed" in mail.logged("qmail-send", ": deferral: ", before)
    mail.route("stalled.example", sink.port)
    mail.svc("-a", "qmail-send")
    sink.received(text)
    mail.wait_until_empty()
