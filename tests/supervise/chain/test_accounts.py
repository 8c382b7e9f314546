"""setuidgid and envuidgid: other numbers, or other numbers in the environment."""

from __future__ import annotations

import os
import pwd

import pytest
from commands import run

from supervise.account import find_account

NOBODY = pwd.getpwnam("nobody")


def test_envuidgid_changes_the_environment_and_not_the_process() -> None:
    done = run("envuidgid", "nobody", "sh", "-c", "echo $UID $GID; id -u", env={"UID": "7", "GID": "7"})
    assert done.out.decode() == f"{NOBODY.pw_uid} {NOBODY.pw_gid}\n{os.geteuid()}\n"


@pytest.mark.root
def test_setuidgid_leaves_no_way_back_and_no_other_group() -> None:
    done = run("setuidgid", "nobody", "sh", "-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status")
    uid, gid, groups = (line.split()[1:] for line in done.out.decode().splitlines())
    assert uid == [str(NOBODY.pw_uid)] * 4
    assert gid == [str(NOBODY.pw_gid)] * 4
    assert groups == [str(NOBODY.pw_gid)]


@pytest.mark.root
def test_who_has_become_another_may_not_come_back() -> None:
    done = run("setuidgid", "nobody", "setuidgid", "root", "echo", "back")
    assert done == (111, b"", b"setuidgid: fatal: unable to setgid: permission denied\n")


@pytest.mark.parametrize("command", ["setuidgid", "envuidgid"])
def test_an_unknown_account_is_named(command: str) -> None:
    assert run(command, "no such", "true") == (111, b"", f"{command}: fatal: unknown account no such\n".encode())


def test_an_account_with_a_nul_is_unknown() -> None:
    assert find_account(b"nobody\0x") is None
