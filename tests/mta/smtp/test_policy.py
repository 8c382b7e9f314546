from __future__ import annotations

from pathlib import Path

import pytest

from mta.control import Control
from mta.smtp.policy import Policy, Rcpthosts
from supervise.errors import Temporary
from ucspi import cdb


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control folder of a fresh home."""
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    folder = tmp_path / "control"
    folder.mkdir()
    return folder


def more(control: Path, *hosts: bytes) -> None:
    name = bytes(control / "morercpthosts.cdb")
    cdb.write(name, name + b".tmp", [(host, b"") for host in hosts])


def test_hosts_are_listed_by_name_or_by_what_is_above_them(control: Path) -> None:
    (control / "rcpthosts").write_bytes(b"# mine\nheaven.af.mil\n.sub.af.mil \nOther.Example\n")
    allow = Rcpthosts.read(Control()).allow
    assert allow(b"bill@heaven.af.mil")
    assert allow(b"bill@HEAVEN.AF.MIL")
    assert allow(b"a@b@other.example")
    assert allow(b"bill@a.b.sub.af.mil")
    assert allow(b"bill@.sub.af.mil")
    assert allow(b"bill")
    assert allow(b"")
    assert not allow(b"bill@sub.af.mil")
    assert not allow(b"bill@x.heaven.af.mil")
    assert not allow(b"bill@heaven.af.mil.")
    assert not allow(b"bill@")


def test_without_rcpthosts_every_host_is_ours(control: Path) -> None:
    more(control, b"other.example")
    assert Rcpthosts.read(Control()).allow(b"bill@any.where")


def test_an_empty_rcpthosts_refuses_every_host(control: Path) -> None:
    (control / "rcpthosts").write_bytes(b"")
    assert not Rcpthosts.read(Control()).allow(b"bill@any.where")
    assert Rcpthosts.read(Control()).allow(b"bill")


def test_morercpthosts_is_asked_when_rcpthosts_has_no_answer(control: Path) -> None:
    (control / "rcpthosts").write_bytes(b"a.example\n")
    more(control, b"more.example", b".sub.example")
    allow = Rcpthosts.read(Control()).allow
    assert allow(b"x@More.Example")
    assert allow(b"x@y.z.sub.example")
    assert not allow(b"x@less.example")


def test_a_damaged_morercpthosts_matters_only_when_it_is_asked(control: Path) -> None:
    (control / "rcpthosts").write_bytes(b"a.example\n")
    (control / "morercpthosts.cdb").write_bytes(b"x")
    hosts = Rcpthosts.read(Control())
    assert hosts.allow(b"x@a.example")
    with pytest.raises(Temporary):
        hosts.allow(b"x@b.example")


def test_bad_senders_are_addresses_or_whole_hosts(control: Path) -> None:
    (control / "badmailfrom").write_bytes(b"Spam@irs.gov\n@Evil.Example\nnohost\n@\n")
    refuses = Policy.read(Control(), {}, None).refuses
    for sender in b"spam@IRS.gov", b"joe@evil.example", b"NoHost", b"joe@":
        assert refuses(sender)
    for sender in b"joe@irs.gov", b"", b"evil.example", b"joe@x.evil.example", b"spam":
        assert not refuses(sender)


def test_bad_recipients_are_listed_in_two_files(control: Path) -> None:
    (control / "badrcptto").write_bytes(b"# gone\nOld@heaven.af.mil\n")
    (control / "badmailto").write_bytes(b"@Evil.Example\n")
    bad = Policy.read(Control(), {}, None).badrcptto
    assert bad.have(b"old@HEAVEN.af.mil") and bad.have(b"joe@evil.example")
    assert not bad.have(b"joe@heaven.af.mil") and not bad.have(b"# gone")


@pytest.mark.parametrize(
    ("file", "variable", "checked"),
    [
        (None, None, False),
        ("1\n", None, True),
        ("0\n", None, False),
        ("joe@heaven.af.mil\n", None, False),
        ("1\n", b"", False),
        ("1\n", b"0", False),
        (None, b"1", True),
    ],
)
def test_recipients_are_looked_up_if_the_variable_or_else_the_file_says_so(
    control: Path, file: str | None, variable: bytes | None, checked: bool
) -> None:
    if file is not None:
        (control / "recipients").write_text(file)
    policy = Policy.read(Control(), {} if variable is None else {b"RECIPIENTS": variable}, None)
    assert bool(policy.recipients) == checked


def test_size_is_spoken_of_if_smtpcapabilities_says_so(control: Path) -> None:
    (control / "databytes").write_text("1000\n")
    assert Policy.read(Control(), {}, None).largest_declared == 0
    (control / "smtpcapabilities").write_text("# more\nX\nsize\n")
    assert Policy.read(Control(), {}, None).largest_declared == 1000
    assert Policy.read(Control(), {b"DATABYTES": b""}, None).largest_declared == 0


def test_a_relay_client_sends_anywhere_and_its_suffix_is_added(control: Path) -> None:
    (control / "rcpthosts").write_bytes(b"")
    assert Policy.read(Control(), {b"RELAYCLIENT": b""}, None).relayed(b"x@any.where") == b"x@any.where"
    assert Policy.read(Control(), {b"RELAYCLIENT": b"@gate"}, None).relayed(b"x") == b"x@gate"
    assert Policy.read(Control(), {}, None).relayed(b"x@any.where") is None


@pytest.mark.parametrize(
    ("controlled", "variable", "limit"),
    [
        (None, None, 0),
        (b"80\n", None, 80),
        (b"80\n", b"7x", 7),
        (b"80\n", b"", 0),
        (b"80\n", b"junk", 0),
        (b"x\n", None, 0),
    ],
)
def test_databytes_is_the_variable_or_else_the_file(
    control: Path, controlled: bytes | None, variable: bytes | None, limit: int
) -> None:
    if controlled is not None:
        (control / "databytes").write_bytes(controlled)
    assert Policy.read(Control(), {} if variable is None else {b"DATABYTES": variable}, None).databytes == limit


def test_our_ip_addresses_become_our_name(control: Path) -> None:
    named = Policy.read(Control(), {}, b"me.example").named
    assert named(b"joe@[127.0.0.1]") == b"joe@me.example"
    assert named(b"joe@[0.0.0.0]") == b"joe@me.example"
    assert named(b"joe@[192.0.2.99]") == b"joe@[192.0.2.99]"
    assert named(b"joe@127.0.0.1") == b"joe@127.0.0.1"
    (control / "localiphost").write_bytes(b"lip.example\n")
    assert Policy.read(Control(), {}, b"me.example").named(b"joe@[127.0.0.1]") == b"joe@lip.example"


def test_without_a_name_ip_addresses_stay(control: Path) -> None:
    assert Policy.read(Control(), {}, None).named(b"joe@[127.0.0.1]") == b"joe@[127.0.0.1]"


@pytest.mark.parametrize(
    "name",
    [
        *("rcpthosts", "badmailfrom", "databytes", "localiphost"),
        *("badrcptto", "badmailto", "recipients", "smtpcapabilities"),
    ],
)
def test_a_control_file_that_cannot_be_read_is_no_policy(control: Path, name: str) -> None:
    (control / name).mkdir()
    with pytest.raises(Temporary):
        Policy.read(Control(), {b"DATABYTES": b"1"}, b"me")
