"""Addresses: split, and quoted for the wire."""

from __future__ import annotations

import pytest

from mta.address import quote, quote_local, split


def test_the_host_begins_after_the_last_at() -> None:
    assert split(b"joe@example.org") == (b"joe", b"example.org")
    assert split(b"a@b@example.org") == (b"a@b", b"example.org")
    assert split(b"joe@") == (b"joe", b"")
    assert split(b"joe") == (b"joe", None)
    assert split(b"") == (b"", None)


@pytest.mark.parametrize("local", [b"joe", b"a.b", b"a+b=c/d", b"!#$%&'*+-/=?^_`{|}~", b"0"])
def test_atoms_and_single_dots_need_no_quotes(local: bytes) -> None:
    assert quote_local(local) == local


@pytest.mark.parametrize(
    "local", [b"", b".", b".a", b"a.", b"a..b", b"joe q", b"a@b", b"a(b)", b"a>b", b"\x7f", b"\xe9"]
)
def test_anything_else_is_quoted(local: bytes) -> None:
    assert quote_local(local) == b'"' + local + b'"'


def test_quotes_backslashes_and_line_ends_get_a_backslash() -> None:
    assert quote_local(b'a"b\\c') == rb'"a\"b\\c"'
    assert quote_local(b"a\r\nb") == b'"a\\\r\\\nb"'


def test_only_the_local_part_of_an_address_is_quoted() -> None:
    assert quote(b"joe q@ex ample") == b'"joe q"@ex ample'
    assert quote(b"@example.org") == b'""@example.org'
    assert quote(b"joe q") == b'"joe q"'
    assert quote(b"") == b""
