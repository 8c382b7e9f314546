"""Where mail for a host goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nameserver import serving

from mta.remote import routes
from mta.remote.routes import find_relay, relays
from supervise.errors import Permanent, Temporary

RECORDS = """\
$ORIGIN .
$TTL 60
@               SOA     ns.example. root.example. 1 3600 600 86400 60
@               NS      ns.example.
ns.example.     A       127.0.0.1

one.example.    A       203.0.113.1
one.example.    AAAA    2001:db8::1
two.example.    A       203.0.113.2
six.example.    AAAA    2001:db8::6
me.example.     A       127.0.0.1
zero.example.   A       0.0.0.0
me6.example.    AAAA    ::1
mapped.example. AAAA    ::ffff:127.0.0.1
alias.example.  CNAME   one.example.
number.example. MX      10 203.0.113.9.

order.example.  MX      20 two.example.
order.example.  MX      5 one.example.
equal.example.  MX      10 one.example.
equal.example.  MX      10 two.example.
second.example. MX      10 one.example.
second.example. MX      20 me.example.
second.example. MX      20 two.example.
second.example. MX      30 six.example.
best.example.   MX      10 me.example.
best.example.   MX      20 one.example.
best6.example.  MX      10 me6.example.
none.example.   MX      0 .
gone.example.   MX      10 nothing.example.
unsure.example. MX      10 host.broken.example.
partly.example. MX      10 host.broken.example.
partly.example. MX      20 two.example.
loop.example.   MX      10 host.broken.example.
loop.example.   MX      20 me.example.
cname.example.  MX      10 alias.example.
other.example.  CNAME   order.example.
"""


@pytest.fixture(scope="module")
def zone() -> Iterator[str]:
    with serving(RECORDS) as address:
        yield address


@pytest.fixture
def asked(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNSCACHEIP", zone)


# -- smtproutes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "host", "relay"),
    [
        (b"", b"x.org", None),
        (b":relay\n", b"x.org", (b"relay", 25)),
        (b":relay:26\n", b"x.org", (b"relay", 26)),
        (b":relay:\n", b"x.org", (b"relay", 25)),
        (b":relay:x\n", b"x.org", (b"relay", 25)),
        (b"x.org:a\n:b\n", b"X.ORG", (b"a", 25)),
        (b"X.org:a\n", b"x.org", (b"a", 25)),
        (b"x.org:a\n", b"y.x.org", None),
        (b".x.org:a\n", b"y.x.org", (b"a", 25)),
        (b".x.org:a\n", b"x.org", None),
        (b".org:a\n.x.org:b\n", b"y.x.org", (b"b", 25)),
        (b"x.org:a\nx.org:b\n", b"x.org", (b"b", 25)),
        (b"x.org:\n:b\n", b"x.org", None),
        (b"#x.org:a\nx.org:b  \n", b"x.org", (b"b", 25)),
        (b"nothing\n", b"nothing", None),
        (b":[10.0.0.1]:99\n", b"x", (b"[10.0.0.1]", 99)),
        (b":[::1]\n", b"x", (b"[::1]", 25)),
        (b":[IPv6:::1]:99\n", b"x", (b"[IPv6:::1]", 99)),
        (b"[10.0.0.1]:a\n", b"[10.0.0.1]", (b"a", 25)),
        (b"[IPv6:2001:db8::1]:a:26\n", b"[IPv6:2001:DB8::1]", (b"a", 26)),
        (b"[IPv6:2001:db8::1]:[::1]:26\n:b\n", b"[IPv6:2001:db8::1]", (b"[::1]", 26)),
        (b"[IPv6:2001:db8::1]:a\n:b\n", b"[IPv6:2001:db8::2]", (b"b", 25)),
        (b"[x:a\n", b"[x", (b"a", 25)),
        (b"[x]\n", b"[x]", None),
        (b":a\n", b"", (b"a", 25)),
    ],
)
def test_the_line_that_says_most_about_a_host_names_its_relay(
    home: Path, lines: bytes, host: bytes, relay: tuple[bytes, int] | None
) -> None:
    (home / "control/smtproutes").write_bytes(lines)
    found = find_relay(host, relays())
    assert (found and (found.host, found.port)) == relay


def test_without_smtproutes_there_is_no_relay(home: Path) -> None:
    assert find_relay(b"x.org", relays()) is None


# -- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (b"203.0.113.1", "203.0.113.1"),
        (b"[203.0.113.1]", "203.0.113.1"),
        (b"[IPv6:2001:DB8:0::1]", "2001:db8::1"),
        (b"[ipv6:::1]", "::1"),
        (b"[::1]", "::1"),
        (b"203.0.113", None),
        (b"203.0.113.1.", None),
        (b"203.0.113.256", None),
        (b"[203.0.113.1", None),
        (b"[fe80::1%lo]", None),
        (b"x.org", None),
        (b"", None),
    ],
)
def test_a_host_may_be_an_address(host: bytes, address: str | None) -> None:
    assert routes.literal(host) == address


@pytest.mark.parametrize(
    "host", [b"127.0.0.1", b"[127.0.0.1]", b"[0.0.0.0]", b"[::]", b"[IPv6:::1]", b"[::ffff:127.0.0.1]"]
)
def test_an_address_of_this_machine_is_nowhere_to_send_mail(host: bytes) -> None:
    with pytest.raises(Permanent, match=r"5\.4\.6"):
        list(routes.exchangers_of(host))


def test_an_address_of_another_machine_is_where_to_send_mail() -> None:
    assert list(routes.exchangers_of(b"[203.0.113.1]")) == ["203.0.113.1"]


# -- names -------------------------------------------------------------------------------

ONE = ["203.0.113.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        (b"order.example", [*ONE, "203.0.113.2"]),
        (b"second.example", ONE),
        (b"one.example", ONE),
        (b"six.example", ["2001:db8::6"]),
        (b"alias.example", ONE),
        (b"cname.example", ONE),
        (b"other.example", [*ONE, "203.0.113.2"]),
        (b"partly.example", ["203.0.113.2"]),
        (b"number.example", ["203.0.113.9"]),
    ],
)
@pytest.mark.usefixtures("asked")
def test_exchangers_are_tried_by_preference_and_no_further_than_ourselves(host: bytes, addresses: list[str]) -> None:
    assert list(routes.exchangers_of(host)) == addresses


@pytest.mark.usefixtures("asked")
def test_equal_exchangers_come_in_any_order() -> None:
    seen = {tuple(routes.exchangers_of(b"equal.example")) for _ in range(40)}
    assert seen == {(*ONE, "203.0.113.2"), ("203.0.113.2", *ONE)}


@pytest.mark.parametrize(
    ("host", "code"),
    [
        (b"nothing.example", "5.1.2"),
        (b"no such.example", "5.1.2"),
        (b"none.example", "5.4.4"),
        (b"gone.example", "5.4.4"),
        (b"me.example", "5.4.6"),
        (b"zero.example", "5.4.6"),
        (b"me6.example", "5.4.6"),
        (b"mapped.example", "5.4.6"),
        (b"best.example", "5.4.6"),
        (b"best6.example", "5.4.6"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_what_surely_cannot_be_reached_never_will(host: bytes, code: str) -> None:
    with pytest.raises(Permanent, match=code):
        list(routes.exchangers_of(host))


@pytest.mark.parametrize("host", [b"x.broken.example", b"unsure.example", b"loop.example"])
@pytest.mark.usefixtures("asked")
def test_what_cannot_be_known_may_be_known_later(host: bytes) -> None:
    with pytest.raises(Temporary, match=r"4\.1\.2"):
        list(routes.exchangers_of(host))


@pytest.mark.usefixtures("asked")
def test_a_relay_is_found_by_its_own_addresses() -> None:
    assert routes.addresses_of(b"one.example") == ONE
    assert routes.addresses_of(b"me.example") == ["127.0.0.1"]
    with pytest.raises(Permanent, match=r"any host named order\.example\. "):
        routes.addresses_of(b"order.example")
    with pytest.raises(Permanent, match=r"any host named a\?\?b\. "):
        routes.addresses_of(b"a\n\xffb")
    with pytest.raises(Temporary):
        routes.addresses_of(b"x.broken.example")
