"""A home may have any name that PATH can hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run
from instance import Instance

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]


@pytest.mark.parametrize("rooted", KINDS)
@pytest.mark.parametrize("name", ['it\'s "a\\b" $HOME `id` *;#&', "x" * 150], ids=["odd", "long"])
def test_mail_flows_in_a_home_with_an_odd_name(name: str, rooted: bool) -> None:
    with Instance(rooted, home=name) as mail:
        mail.joe.received(mail.send("joe@mail.example"))
        mail.alias.received(mail.send("postmaster@mail.example"))
        assert mail.run("qmail-setup", "--check", mail.home).out == b""


def test_a_home_with_a_colon_in_its_name_is_refused(tmp_path: Path) -> None:
    result = run("qmail-setup", "--host", "mail.example", tmp_path / "a:b")
    assert result.code == 100 and result.err.count(b"\n") == 1 and result.err.startswith(b"qmail-setup: fatal: ")
    assert list(tmp_path.iterdir()) == []
