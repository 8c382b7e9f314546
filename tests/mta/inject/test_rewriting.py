"""Addresses in header fields are completed, and only they."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.inject.rewriting import Hosts, plain, rewrite
from mta.tokens import Unparsable, lex
from mta.tokens import plain as as_text
from supervise.errors import Temporary

BITS = [b"joe", b"irs", b"@", b".", b",", b"<", b">", b":", b";", b'"a b"', b"(c)", b"[1.2]", b" ", b"+", b"\n ", b"\\"]
VALUE = st.lists(st.one_of(st.sampled_from(BITS), st.binary(max_size=3)), max_size=20).map(b"".join)


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    control = tmp_path / "control"
    control.mkdir()
    for name, text in {"me": "heaven.af.mil", "defaultdomain": "af.mil", "plusdomain": "army.mil"}.items():
        (control / name).write_text(text + "\n")
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    return Hosts()


@pytest.mark.parametrize(
    ("short", "complete"),
    [
        (b"joe", b"joe@heaven.af.mil"),
        (b"joe@irs", b"joe@irs.af.mil"),
        (b"joe@irs+", b"joe@irs.army.mil"),
        (b"joe+", b"joe+@heaven.af.mil"),
        (b"joe@irs.gov", b"joe@irs.gov"),
        (b"joe@irs.gov.", b"joe@irs.gov"),
        (b"joe@.", b"joe@heaven.af.mil"),
        (b"joe@[1.2.3.4]", b"joe@[1.2.3.4]"),
        (b"joe@[]", b"joe@[]"),
        (b"@route,@b:joe@irs", b"joe@irs.af.mil"),
        (b"@route:", b""),
        (b"@irs.gov", b""),
        (b".", b""),
        (b"@", b""),
        (b"", b""),
    ],
)
def test_an_address_gets_what_it_lacks(hosts: Hosts, short: bytes, complete: bytes) -> None:
    assert as_text(hosts.complete(lex(short))) == complete


def test_the_caller_keeps_his_tokens(hosts: Hosts) -> None:
    tokens = lex(b"joe@irs+.")
    hosts.complete(tokens)
    assert tokens == lex(b"joe@irs+.")


def test_names_and_comments_stay(hosts: Hosts) -> None:
    field = b'To: "B\xc3\xa4r" <bill>, =?utf-8?q?J=C3=B6?= (\xe9) <joe@irs>, friends: x (y);\n'
    assert rewrite(field, hosts.complete) == (
        b'To: "B\xc3\xa4r" <bill@heaven.af.mil>, =?utf-8?q?J=C3=B6?= (\xe9) <joe@irs.af.mil>,\n'
        b"  friends: x@heaven.af.mil (y);\n"
    )


@given(value=VALUE)
def test_whatever_stands_in_a_field_it_is_rewritten_or_refused(value: bytes) -> None:
    stub = object.__new__(Hosts)
    stub.default_domain, stub.default_host, stub.plus_domain = lex(b".d"), lex(b"@h.d"), lex(b".p")
    field = b"To: " + value.replace(b"\n", b"\n ") + b"\n"
    try:
        written = rewrite(field, stub.complete)
    except Unparsable as error:
        assert error.text == field
        return
    assert written.startswith(b"To:")
    assert written.endswith(b"\n")


def test_a_fold_within_quotes_is_no_part_of_an_address(hosts: Hosts) -> None:
    assert plain(lex(b'"a\n b"@irs.gov')) == b"a b@irs.gov"


def test_the_environment_has_the_last_word(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEFAULTHOST", "DEFAULTDOMAIN", "PLUSDOMAIN", "IDHOST"):
        monkeypatch.setenv("QMAIL" + name, name.lower())
    hosts = Hosts()
    assert as_text(hosts.complete(lex(b"joe"))) == b"joe@defaulthost.defaultdomain"
    assert as_text(hosts.complete(lex(b"joe@x+"))) == b"joe@x.plusdomain"
    assert hosts.for_ids == b"idhost"


def test_a_control_file_that_cannot_be_read_is_temporary(hosts: Hosts, tmp_path: Path) -> None:
    (tmp_path / "control/idhost").mkdir()
    with pytest.raises(Temporary, match="read error"):
        Hosts()
