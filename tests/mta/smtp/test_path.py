from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.address import quote
from mta.smtp.path import address_in, literal


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"FROM:<joe@irs.gov>", b"joe@irs.gov"),
        (b"FROM: <joe@irs.gov> SIZE=100 BODY=8BITMIME", b"joe@irs.gov"),
        (b"FROM:Joe <joe@irs.gov>junk<x@y>", b"joe@irs.gov"),
        (b"FROM:<>", b""),
        (b"", b""),
        (b"joe@irs.gov", b""),
        (b"<joe@irs.gov>", b"joe@irs.gov"),
        (b"FROM:joe@irs.gov SIZE=1", b"joe@irs.gov"),
        (b"FROM:  joe@irs.gov", b"joe@irs.gov"),
        (b"TO:x:joe@irs.gov", b"x:joe@irs.gov"),
        (b"TO:<@a.b,@c.d:joe@irs.gov>", b"joe@irs.gov"),
        (b"TO:@a.b:joe@irs.gov", b"joe@irs.gov"),
        (b"TO:<@a.b>", b""),
        (b'TO:<"joe q"@irs.gov>', b"joe q@irs.gov"),
        (b'TO:"a b"@irs.gov x', b"a b@irs.gov"),
        (b'TO:<"a>b"@irs.gov>', b"a>b@irs.gov"),
        (b"TO:<a\\>b@irs.gov>", b"a>b@irs.gov"),
        (b'TO:<"a\\"b"@irs.gov>', b'a"b@irs.gov'),
        (b"TO:<joe\\", b"joe"),
        (b'TO:<"joe@irs.gov>', b"joe@irs.gov>"),
        (b"TO:<<joe@irs.gov>>", b"<joe@irs.gov"),
        (b"TO:< joe >", b" joe "),
    ],
)
def test_an_address_is_found_in_an_argument(argument: bytes, address: bytes) -> None:
    assert address_in(argument) == address


@given(
    st.binary(min_size=1, max_size=40).map(lambda local: local.translate(None, b"\0\r\n")),
    st.sampled_from([b"@x.y", b""]),
)
def test_what_a_client_of_ours_quotes_is_found_again(local: bytes, host: bytes) -> None:
    address = local.replace(b"@", b"") + host
    assert address_in(b"TO:<" + quote(address) + b">") == address


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        (b"joe@[192.0.2.1]", "192.0.2.1"),
        (b"joe@[192.000.002.001]", "192.0.2.1"),
        (b"joe@[IPv6:2001:DB8::1]", "2001:db8::1"),
        (b"joe@[ipv6:::1]", "::1"),
        (b"a@b@[192.0.2.1]", "192.0.2.1"),
        (b"joe@192.0.2.1", None),
        (b"joe@[192.0.2.1]x", None),
        (b"joe@[192.0.2.1", None),
        (b"joe@[192.0.2]", None),
        (b"joe@[192.0..2]", None),
        (b"joe@[host]", None),
        (b"joe@[]", None),
        (b"joe@[IPv6:fe80::1%lo]", None),
        (b"joe@[IPv6:\xff]", None),
        (b"joe@[a@192.0.2.1]", None),
        (b"192.0.2.1]", None),
        (b"joe@[" + b"9" * 100_000 + b".0.0.1]", "255.0.0.1"),
    ],
)
def test_an_ip_literal_is_told_from_a_name(address: bytes, ip: str | None) -> None:
    assert literal(address) == ip
