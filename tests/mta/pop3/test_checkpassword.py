"""Who has the right name and password becomes that user, and nobody else does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Accounts, given_login, hashed, login
from commands import Result, run

JOE, SUE, LOCKED, HOMELESS = 61011, 61012, 61013, 61014


def check(login: bytes | None, *words: str | Path, behind: tuple[str | Path, ...] = ()) -> Result:
    """What checkpassword makes of *login* on descriptor 3, or of none."""
    command = (*behind, "checkpassword", *words)
    return run(*command) if login is None else given_login(login, *command)


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield users(Path(folder))


def users(folder: Path) -> Accounts:
    """The users of these tests."""
    accounts = Accounts(folder)
    for name, uid in ("joe", JOE), ("sue", SUE):
        home = folder / name
        home.mkdir()
        if os.geteuid() == 0:
            os.chown(home, uid, uid)
        accounts.add(name + "-test", uid, hashed(f"{name}'s secret"), home, "/bin/false")
    accounts.add("locked-test", LOCKED, "!" + hashed("secret"), "/")
    accounts.add("homeless-test", HOMELESS, hashed("secret"), "/nonexistent")
    accounts.add("open-test", HOMELESS + 1, "", "/")
    return accounts


@pytest.mark.root
def test_the_user_with_the_password_runs_the_program(accounts: Accounts) -> None:
    script = 'id -u; id -g; id -G; echo "$USER $HOME $SHELL"; pwd; test -e /proc/$$/fd/3 || echo no login'
    code, out, err = check(login("joe-test", "joe's secret"), "sh", "-c", script, behind=accounts.seen_by)
    assert (code, err) == (0, b"")
    uid, gid, groups, variables, folder, closed = out.decode().splitlines()
    home = str(accounts.folder / "joe")
    assert (uid, gid, set(groups.split())) == (str(JOE), str(JOE), {str(JOE), str(JOE + 1000)})
    assert (variables, folder, closed) == (f"joe-test {home} /bin/false", home, "no login")


@pytest.mark.root
def test_the_program_s_exit_code_is_ours(accounts: Accounts) -> None:
    assert check(login("joe-test", "joe's secret"), "sh", "-c", "exit 7", behind=accounts.seen_by).code == 7


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("joe-test", "sue's secret"),
        ("joe-test", "joe's secret "),
        ("joe-test", "joe's secre"),
        ("joe-test", ""),
        ("Joe-test", "joe's secret"),
        ("nobody-by-that-name", "joe's secret"),
        ("", ""),
        ("locked-test", "secret"),
        ("locked-test", "!"),
        ("open-test", ""),
        ("open-test", "x"),
    ],
)
def test_nobody_else_does(accounts: Accounts, name: str, password: str) -> None:
    assert check(login(name, password), "echo", "in", behind=accounts.seen_by) == (1, b"", b"")


@pytest.mark.root
def test_a_program_of_ours_runs_as_the_user_too(accounts: Accounts) -> None:
    words = ("qmail-pop3d", "Nosuch")
    reply = (0, b"-ERR this user has no $HOME/Maildir\r\n", b"")
    assert check(login("sue-test", "sue's secret"), *words, behind=accounts.seen_by) == reply


@pytest.mark.root
def test_a_user_without_a_home_waits_for_it(accounts: Accounts) -> None:
    code, out, err = check(login("homeless-test", "secret"), "echo", "in", behind=accounts.seen_by)
    line = b"checkpassword: fatal: unable to switch to /nonexistent: file does not exist\n"
    assert (code, out, err) == (111, b"", line)


@pytest.mark.root
def test_a_program_that_is_missing_is_said(accounts: Accounts) -> None:
    code, out, err = check(login("joe-test", "joe's secret"), "/nonexistent", behind=accounts.seen_by)
    line = b"checkpassword: fatal: unable to run /nonexistent: file does not exist\n"
    assert (code, out, err) == (111, b"", line)


@pytest.mark.root
def test_the_password_is_nowhere_in_what_the_program_gets(accounts: Accounts) -> None:
    script = "cat /proc/$$/environ /proc/$$/cmdline"
    out = check(login("joe-test", "joe's secret"), "sh", "-c", script, behind=accounts.seen_by).out
    assert out and b"joe's secret" not in out


@pytest.mark.root
def test_who_may_not_read_the_passwords_lets_nobody_in_and_says_why(accounts: Accounts) -> None:
    as_nobody = (*accounts.seen_by, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    line = b"checkpassword: fatal: unable to read the shadow file's entry of joe-test\n"
    assert check(login("joe-test", "joe's secret"), "echo", "in", behind=as_nobody) == (111, b"", line)
    assert check(login("nobody-by-that-name", "x"), "echo", "in", behind=as_nobody) == (1, b"", b"")


@pytest.mark.parametrize("text", [b"", b"joe", b"joe\0", b"joe\0secret", b"\0"])
def test_half_a_login_is_misuse(text: bytes) -> None:
    assert check(text, "echo", "in") == (2, b"", b"")


def test_without_a_program_it_is_misused() -> None:
    assert check(login("joe", "x")) == (2, b"", b"")


def test_without_descriptor_3_there_is_nothing_to_check() -> None:
    code, out, err = check(None, "echo", "in")
    assert (code, out) == (111, b"")
    assert err == b"checkpassword: fatal: unable to read descriptor 3: file descriptor not open\n"


def test_more_than_512_bytes_are_no_login(accounts: Accounts) -> None:
    assert check(b"joe\0" + b"x" * 507 + b"\0\0", "echo", "in").code == 1
    assert check(b"x" * 60_000, "echo", "in").code == 1
