"""What qmail-remote asks the domain name system, and how long the answers may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from nameserver import serving
from overhearing import Overhearing
from peer import GOOD, Peer

from mta.remote import routes

EXCHANGERS, ADDRESSES = 800, 2500
RECORDS = f"""\
$ORIGIN .
$TTL 60
@               SOA     ns.example. root.example. 1 3600 600 86400 60
@               NS      ns.example.
ns.example.     A       127.0.0.1

me.example.     A       127.0.0.1
mail.example.   MX      10 me.example.
mail.example.   TXT     "v=spf1 -all"
alias.example.  CNAME   mail.example.
single.example. A       127.0.0.1
relay.example.  CNAME   me.example.
{"".join(f"many.example. MX {number} x{number}.some.where.example.{chr(10)}" for number in range(EXCHANGERS))}
{"".join(f"large.example. A 127.1.{number // 256}.{number % 256}{chr(10)}" for number in range(ADDRESSES))}
large.example.  A       127.0.0.1
both.example.   MX      10 large.example.
"""
BY_US = b"DSorry. Although I'm listed as a best-preference MX or A for that host,"


@pytest.fixture(scope="module")
def zone() -> Iterator[str]:
    with serving(RECORDS) as address:
        yield address


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("mail.example", {("mail.example", "MX"), ("me.example", "A"), ("me.example", "AAAA")}),
        ("alias.example", {("alias.example", "MX"), ("me.example", "A"), ("me.example", "AAAA")}),
        ("single.example", {("single.example", "MX"), ("single.example", "A"), ("single.example", "AAAA")}),
        ("[127.0.0.1]", set()),
        ("[IPv6:::1]", set()),
    ],
)
def test_exchangers_and_addresses_are_asked_for_and_nothing_else(
    home: Path, zone: str, host: str, asked: set[tuple[str, str]]
) -> None:
    with Overhearing(zone) as between:
        done = run("qmail-remote", host, "joe@x", f"bill@{host}", env={"DNSCACHEIP": between.address})
    assert done.out.startswith(BY_US)
    assert between.asked == asked


def test_of_a_relay_the_addresses_are_asked_for_only(home: Path, zone: str) -> None:
    with Peer(GOOD) as peer, Overhearing(zone) as between:
        (home / "control/smtproutes").write_text(f":relay.example:{peer.port}\n")
        done = run("qmail-remote", "y", "joe@x", "bill@y", input=b"\n", env={"DNSCACHEIP": between.address})
    assert done.out.startswith(b"r\0K127.0.0.1 accepted message.\n")
    assert between.asked == {("relay.example", "A"), ("relay.example", "AAAA")}


def test_an_answer_may_have_any_size(home: Path, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Overhearing(zone) as between:
        monkeypatch.setenv("DNSCACHEIP", between.address)
        assert len(routes.by_preference(b"many.example")) == EXCHANGERS
        assert len(routes.addresses_of(b"large.example")) == ADDRESSES + 1
    assert between.by_tcp == {("many.example", "MX"), ("large.example", "A")}


def test_the_one_of_many_addresses_that_answers_gets_the_message(home: Path, zone: str) -> None:
    with Peer(GOOD) as peer:
        (home / "control/smtproutes").write_text(f":large.example:{peer.port}\n")
        done = run("qmail-remote", "y", "joe@x", "bill@y", input=b"\n", env={"DNSCACHEIP": zone})
    assert done.out.startswith(b"r\0K127.0.0.1 accepted message.\n")


def test_one_of_many_addresses_that_is_ours_is_found(home: Path, zone: str) -> None:
    done = run("qmail-remote", "both.example", "joe@x", "bill@both.example", env={"DNSCACHEIP": zone})
    assert done.out.startswith(BY_US)
