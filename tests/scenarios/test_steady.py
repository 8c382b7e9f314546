"""What a message costs when the system has warmed up, and what is kept in memory for the next."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from instance import Instance
from processes import descendants, share
from sink import Sink
from until import until

MIB = 1 << 20
CHILDREN = 8  # in /proc/PID/stat after the name: the page faults of children that have ended


def families(mail: Instance) -> dict[int, str]:
    """All processes, and of each something that changes with the end of a child."""
    return {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[CHILDREN] for pid in mail.processes()}


def program_of(pid: int) -> str:
    """Something that changes when a process becomes another program: where its code and stack begin."""
    return " ".join(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[23:26])


def deliver(mail: Instance, sink: Sink) -> None:
    """One message here and to the other host, from beginning to end."""
    text = mail.send("joe@mail.example", "bob@sink.example")
    mail.joe.received(text)
    sink.received(text)
    mail.wait_until_empty()


def test_a_message_costs_no_fork_and_no_exec(own: Instance) -> None:
    with Sink() as sink:
        own.route("sink.example", sink.port)
        for _ in range(5):
            deliver(own, sink)
        before, programs = families(own), {pid: program_of(pid) for pid in own.processes()}
        for _ in range(50):
            deliver(own, sink)
        assert families(own) == before
        assert {pid: program_of(pid) for pid in own.processes()} == programs
        own.joe.write(".qmail-program", "|exit 0\n")  # and now one that does, to show that we would see it
        own.send("joe-program@mail.example")
        own.wait_until_empty()
        assert families(own) != before


def idle_workers(mail: Instance) -> list[int]:
    return descendants(mail.pid("qmail-smtpd"), "tcpserver: worker")


def memory(mail: Instance) -> int:
    """What tcpserver and all below it use."""
    server = mail.pid("qmail-smtpd")
    return sum(share(pid) for pid in (server, *descendants(server)))


def sessions(mail: Instance, count: int) -> None:
    """Have so many SMTP sessions at once, each with a message; return when their servers are idle again."""
    with ExitStack() as stack:
        for client in [stack.enter_context(mail.smtp()) for _ in range(count)]:
            client.sendmail("peer@far.example", "joe@mail.example", "Subject: hi\n\nhello\n")
    until(lambda: len(idle_workers(mail)) >= count)


# Before 3.12 an interpreter counts references even of None, and so keeps less of its memory shared.
# What its heap looks like when it is forked makes a difference of a tenth.
MOST = 2.5 if sys.version_info >= (3, 12) else 3.0


def test_an_idle_smtp_server_costs_a_few_megabytes_at_most(own: Instance) -> None:
    sessions(own, 2)
    few, before = len(idle_workers(own)), memory(own)
    sessions(own, 20)
    many, after = len(idle_workers(own)), memory(own)
    each = (after - before) / (many - few)
    print(f"an idle qmail-smtpd: {each / MIB:.2f} MiB (of {many}; before {before / MIB:.1f}, after {after / MIB:.1f})")
    assert each <= MOST * MIB


@pytest.mark.long
def test_workers_that_nobody_needs_go_and_mail_goes_on(own: Instance) -> None:
    quiet = len(own.processes())
    sessions(own, 20)
    assert len(own.processes()) > quiet + 20
    until(lambda: len(own.processes()) <= quiet, 90, what="the end of idle workers")
    own.joe.received(own.send("joe@mail.example"))
