"""qmail-why on a system that runs: from the client's address to what each host said."""

from __future__ import annotations

import json
import smtplib
from datetime import datetime, timedelta
from typing import Any

import pytest
from instance import Instance
from sink import Sink
from until import until


def stories(mail: Instance, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in mail.run("qmail-why", "--json", *words).out.splitlines()]


def test_a_message_is_followed_from_its_client_to_every_end(own: Instance, sink: Sink) -> None:
    own.control("trace", "1")
    own.joe.write(".qmail-forward", "&sue@mail.example\n")
    own.send("joe-forward@mail.example", "bob@sink.example", "nobody-there@mail.example", sender="sue@mail.example")
    own.wait_until_empty()

    def told() -> list[dict[str, Any]]:
        found = stories(own, "bob@sink.example")
        return found if found and found[0]["state"] == "over" and found[0]["given"] else []

    [story] = until(told, what="the whole story in the logs")
    assert (story["sender"], story["given"]["client"]) == ("sue@mail.example", "127.0.0.1")
    assert f"tcpserver: ok {story['given']['pid']} " in own.log("qmail-smtpd")
    [delivery] = story["deliveries"]
    assert delivery["verdict"] == "success" and "Remote_host_said:_250_" in delivery["text"]

    def family() -> list[dict[str, Any]]:
        found = stories(own, str(story["qp"]))
        return found if len(found) == 3 and all(each["state"] == "over" for each in found) else []

    whole, *others = until(family, what="the bounce and what was forwarded")
    assert {each["verdict"] for each in whole["deliveries"]} == {"success", "failure"}
    assert {(each["given"]["by"], each["given"]["qp"]) for each in others} == {
        ("forward", story["qp"]),
        ("bounce", story["qp"]),
    }
    assert {each["deliveries"][0]["recipient"] for each in others} == {"sue@mail.example"}


def test_of_a_message_that_waits_it_tells_what_was_tried_and_when_it_is_tried_again(own: Instance) -> None:
    own.control("trace", "1")
    own.route("dead.example", 1)
    own.send("bob@dead.example")
    own.logged("qmail-send", "deferral: ")
    [story] = until(lambda: [each for each in stories(own, "bob@dead.example") if each["next"]])
    assert story["state"] == "waiting"
    assert story["deliveries"][0]["text"].endswith("/Tried_127.0.0.1:_connection_refused./")
    own.svc("-t", "qmail-send")  # the new one finds the moment in the queue, and so do we
    own.logged("qmail-send", "status: exiting")
    until(lambda: own.log("qmail-send").rstrip().endswith("status: local 0/10 remote 0/20"))
    [later] = stories(own, "bob@dead.example")
    assert later["gives_up"] == story["gives_up"]
    one, other = (datetime.fromisoformat(each["next"][0]["time"]) for each in (story, later))
    assert abs(one - other) < timedelta(seconds=60)  # the log may have the try in another second than qmail-send


def test_a_client_that_was_refused_finds_the_reply_by_its_address(own: Instance) -> None:
    own.control("trace", "1")
    own.compile_rules("127.0.0.5:allow")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        own.send("bob@sink.example", source="127.0.0.5")
    own.logged("qmail-smtpd", " refused: ")
    [story] = stories(own, "bob@sink.example")
    assert (story["state"], story["client"], story["sender"]) == ("refused", "127.0.0.5", "peer@far.example")
    assert story["text"].startswith("553_")
