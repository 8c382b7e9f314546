"""Questions to the domain name system, put to a real name server."""

from __future__ import annotations

import time

import pytest

from supervise.errors import Temporary
from ucspi import dns


@pytest.fixture(autouse=True)
def asked(name_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNSCACHEIP", name_server)


def test_a_host_has_the_addresses_of_both_families_in_the_order_asked_for() -> None:
    assert dns.addresses(b"both.example") == ["192.0.2.1", "2001:db8::1"]
    assert dns.addresses(b"both.example", (6, 4)) == ["2001:db8::1", "192.0.2.1"]
    assert dns.addresses(b"both.example", (4,)) == ["192.0.2.1"]
    assert dns.addresses(b"four.example") == ["192.0.2.4"]
    assert dns.addresses(b"six.example", (4,)) == []


def test_a_final_dot_and_the_case_of_letters_do_not_matter() -> None:
    assert dns.addresses(b"BOTH.Example.", (4,)) == ["192.0.2.1"]


def test_a_host_with_several_addresses_has_them_all() -> None:
    assert sorted(dns.addresses(b"many.example")) == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]


def test_aliases_are_followed() -> None:
    assert dns.addresses(b"alias2.example", (4,)) == ["192.0.2.1"]
    assert len(dns.exchangers(b"mailalias.example")) == 3
    assert dns.addresses(b"dangling.example") == []


def test_a_name_that_is_not_there_and_one_without_the_data_give_nothing() -> None:
    for name in b"nothing.example", b"empty.example", b"text.example":
        assert dns.addresses(name) == []
        assert dns.exchangers(name) == []
    assert dns.name_of("192.0.2.1") is None
    assert dns.name_of("2001:db8::1") is None
    assert dns.texts(b"nothing.example") == []


@pytest.mark.parametrize(
    "name", [b"", b".", b"a..b", b".a", b"x" * 64 + b".example", b"a." * 200, b"@", b"a b\xff\0.example"]
)
def test_what_cannot_be_a_name_gives_nothing(name: bytes) -> None:
    assert dns.addresses(name) == []
    assert dns.exchangers(name) == []


def test_exchangers_have_their_preferences_and_names_in_lower_case() -> None:
    assert sorted(dns.exchangers(b"mail.example")) == [
        (10, b"both.example"),
        (10, b"mx.upper.example"),
        (20, b"many.example"),
    ]


def test_a_host_that_takes_no_mail_has_one_exchanger_without_a_name() -> None:
    assert dns.exchangers(b"nomail.example") == [(0, b"")]


def test_addresses_of_both_families_have_names() -> None:
    assert dns.name_of("127.0.0.1") == b"here.example"
    assert dns.name_of("::1") == b"here.example"
    assert dns.name_of("127.0.0.2") == b"shouting.example"


def test_bytes_of_a_name_that_are_not_printable_are_escaped() -> None:
    assert dns.name_of("127.0.0.5") == rb"a\040b\056c.example"


def test_a_text_is_put_together_from_its_strings() -> None:
    assert dns.texts(b"text.example") == [b"one two"]
    assert sorted(dns.texts(b"texts.example")) == [b"first", b"second"]


def test_an_answer_too_long_for_udp_is_had_all_the_same() -> None:
    assert dns.texts(b"long.example") == [b"x" * 3000]


def test_a_server_failure_is_no_answer() -> None:
    for question in dns.addresses, dns.exchangers, dns.texts:
        with pytest.raises(Temporary, match=r"host\.broken"):
            question(b"host.broken.example")
    with pytest.raises(Temporary):
        dns.name_of("127.0.0.6")


def test_one_cache_that_is_down_does_no_harm_when_there_is_another(
    name_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNSCACHEIP", f"127.0.0.1:1 {name_server}")
    monkeypatch.setattr(dns, "ATTEMPT", 0.2)
    assert dns.addresses(b"four.example") == ["192.0.2.4"]


def test_silence_is_a_temporary_error_after_a_while(silent_name_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNSCACHEIP", silent_name_server)
    monkeypatch.setattr(dns, "PATIENCE", 0.3)
    began = time.monotonic()
    with pytest.raises(Temporary):
        dns.exchangers(b"four.example")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("value", ["nonsense", "127.0.0.1:x", "[::1", "1.2.3"])
def test_a_broken_dnscacheip_is_a_temporary_error(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNSCACHEIP", value)
    monkeypatch.setattr(dns, "PATIENCE", 0.3)
    with pytest.raises(Temporary):
        dns.addresses(b"four.example")


def test_caches_are_written_with_and_without_a_port() -> None:
    for entry, address, port in [
        (b"192.0.2.1", "192.0.2.1", 53),
        (b"192.0.2.1:5353", "192.0.2.1", 5353),
        (b"2001:db8::1", "2001:db8::1", 53),
        (b"[2001:db8::1]", "2001:db8::1", 53),
        (b"[2001:db8::1]:5353", "2001:db8::1", 5353),
    ]:
        found = dns.cache(entry)
        assert (found.address, found.port) == (address, port)  # type: ignore[attr-defined]
