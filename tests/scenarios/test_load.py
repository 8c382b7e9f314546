"""Many messages at once, from Postfix's smtp-source."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from instance import Instance
from sink import Sink
from until import until

SESSIONS, SIZE = 20, 4096
EMPTY = b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n"


def pour(mail: Instance, recipient: str, count: int) -> None:
    """Send *count* messages in many sessions at once."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    words = ["-s", str(SESSIONS), "-m", str(count), "-l", str(SIZE), "-f", "peer@far.example", "-t", recipient]
    subprocess.run(["smtp-source", *words, f"127.0.0.1:{mail.port}"], check=True, env={"PATH": path})


def identities(messages: list[bytes]) -> list[bytes]:
    """Their Message-Ids."""
    return [found for message in messages for found in re.findall(rb"^Message-Id: (.*)$", message, re.M)]


def each_arrives_once(mail: Instance, sink: Sink, count: int) -> None:
    mail.joe.maildir("Many")
    mail.joe.write(".qmail-many", "./Many/\n")
    pour(mail, "joe-many@mail.example", count)
    pour(mail, "box@sink.example", count)
    mail.wait_until_empty(120)
    assert mail.run("qmail-qstat").out == EMPTY
    for messages in mail.joe.messages("Many"), until(lambda: len(m := sink.messages()) >= count and m):
        assert len(messages) == len(set(identities(messages))) == count
        assert all(len(message) > SIZE for message in messages)


def test_each_of_500_messages_in_20_sessions_arrives_once(own: Instance) -> None:
    with Sink() as sink:
        own.route("sink.example", sink.port)
        each_arrives_once(own, sink, 500)


@pytest.mark.long
def test_each_of_2000_messages_in_20_sessions_arrives_once(own: Instance) -> None:
    with Sink() as sink:
        own.route("sink.example", sink.port)
        each_arrives_once(own, sink, 2000)
