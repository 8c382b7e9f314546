"""Addresses and ports as text."""

from __future__ import annotations

import pytest

from ucspi import ip


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"127.0.0.01", "127.0.0.1"),
        (b"010.0.0.1", "10.0.0.1"),
        (b"0.00.000." + b"0" * 5000 + b"7", "0.0.0.7"),
        (b"1" * 5000 + b".0.0.1", None),
        (b"2001:DB8:0::1", "2001:db8::1"),
        (b"::", "::"),
        (b"::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        (b"fe80::1%eth0", "fe80::1%eth0"),
        (b"256.0.0.1", None),
        (b"1.2.3", None),
        (b"1.2.3.4x", None),
        (b"1.2.3.", None),
        (b"localhost", None),
        (b"", None),
        (b"0", None),
        (b"1:2", None),
        (b"\xff::", None),
        (b"::1\0", None),
        (b"fe80::1%\0", None),
        (b"1.2.3.4:\0", None),
        ("1.2.3.\N{SUPERSCRIPT TWO}".encode(), None),
    ],
)
def test_an_address_is_read_in_its_usual_form(text: bytes, address: str | None) -> None:
    assert ip.parse(text) == address


def test_ipv4_can_be_mapped_into_ipv6_and_back() -> None:
    assert ip.mapped("192.0.2.1") == "::ffff:192.0.2.1"
    assert ip.plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert ip.mapped("2001:db8::1") == ip.plain("2001:db8::1") == "2001:db8::1"


@pytest.mark.parametrize(
    ("text", "port"),
    [
        *[(b"25", 25), (b"smtp", 25), (b"0", 0), (b"", 0), (b"65535", 65535), (b"65536", None), (b"99999999999", None)],
        *[(text, None) for text in (b"25x", b"-1", b"0x19", b"no-such-service", b"\xff", b"\0")],
    ],
)
def test_a_port_is_a_number_or_the_name_of_a_service(text: bytes, port: int | None) -> None:
    assert ip.port_number(text) == port


def test_a_number_is_the_digits_in_front() -> None:
    assert [ip.leading_number(text) for text in (b"40", b"7x", b"x7", b"", b"-1")] == [40, 7, 0, 0, 0]
