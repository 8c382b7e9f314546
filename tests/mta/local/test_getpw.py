from __future__ import annotations

import os
import pwd

import pytest
from commands import run
from deliveries import Instance


def asked(instance: Instance, local: str, user: int | None = None) -> list[str]:
    result = run("qmail-getpw", local, env=instance.env, user=user)
    assert (result.code, result.err) == (0, b"") and result.out.endswith(b"\0")
    return result.out.decode().split("\0")[:-1]


def test_in_a_plain_users_instance_alias_is_a_folder_of_the_home(plain: Instance) -> None:
    alias = ["alias", str(plain.uid), str(plain.uid), f"{plain.home}/alias", "-"]
    for local in ("nobody-knows", "root", "daemon-x", ""):
        assert asked(plain, local, plain.runner) == [*alias, local]


def test_in_a_plain_users_instance_alias_can_be_addressed_as_anywhere(plain: Instance) -> None:
    for local, rest in {"alias-list-x": ["-", "list-x"], "Alias": ["", ""], "alias-": ["-", ""]}.items():
        assert asked(plain, local, plain.runner)[3:] == [f"{plain.home}/alias", *rest]
    assert asked(plain, "aliased", plain.runner)[-2:] == ["-", "aliased"]


def test_in_a_plain_users_instance_only_that_user_is_found(plain: Instance) -> None:
    account = pwd.getpwuid(plain.uid)
    found = asked(plain, f"{account.pw_name}-Ext", plain.runner)
    owns = os.path.isdir(account.pw_dir) and os.stat(account.pw_dir).st_uid == plain.uid
    if owns:
        assert found == [account.pw_name, str(account.pw_uid), str(account.pw_gid), account.pw_dir, "-", "Ext"]
    else:
        assert found[0] == "alias"


@pytest.mark.root
def test_in_roots_instance_it_finds_users_though_it_runs_as_qmailp(rooted: Instance) -> None:
    qmailp, alias = pwd.getpwnam("qmailp").pw_uid, pwd.getpwnam("alias")
    here = ["alias", str(alias.pw_uid), str(alias.pw_gid), f"{rooted.home}/alias", "-"]
    owns = os.path.isdir(alias.pw_dir) and os.stat(alias.pw_dir).st_uid == alias.pw_uid
    assert asked(rooted, "Alias-A-b", qmailp) == [*here, "A-b" if owns else "Alias-A-b"]
    assert asked(rooted, "no-body", qmailp)[-2:] == ["-", "no-body"]


@pytest.mark.parametrize("local", ["x" * 31, "x" * 32, "x" * 5000, "-", "--", "a-" * 100])
def test_no_address_is_too_odd(plain: Instance, local: str) -> None:
    assert asked(plain, local, plain.runner)[-2:] == ["-", local]


def test_wrong_usage_is_silent() -> None:
    assert run("qmail-getpw") == (100, b"", b"")
