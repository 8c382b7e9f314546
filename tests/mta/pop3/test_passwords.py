"""Passwords as the machine stores them."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from counting import Counting

from mta.pop3 import passwords
from mta.pop3.passwords import account_with, matches
from supervise.errors import Temporary

STORED = {  # as published with the methods
    "MD5": (b"password", b"$1$3azHgidD$SrJPt7B.9rekpmwJwtON31"),
    "bcrypt": (b"U*U", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    "SHA-256": (b"Hello world!", b"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    "SHA-512": (
        b"Hello world!",
        b"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
}
MD5 = STORED["MD5"][1]


@pytest.mark.parametrize("method", STORED)
def test_a_password_is_right_whatever_the_method(method: str) -> None:
    password, stored = STORED[method]
    assert matches(password, stored)
    assert not matches(password + b"x", stored)
    assert not matches(password[:-1], stored)
    assert not matches(b"", stored)


def test_what_this_machine_makes_for_new_passwords_is_understood() -> None:
    library = passwords.crypt_library()
    setting = passwords.usual_method(library)
    stored = library.crypt(b"secret", setting)
    assert stored.startswith(setting[:3])
    assert matches(b"secret", stored) and not matches(b"Secret", stored)


@pytest.mark.parametrize(
    "stored", [b"", b"*", b"!", b"!!", b"x", b"*0", b"*1", b"!" + STORED["SHA-256"][1], b"$99$a$b"]
)
@pytest.mark.parametrize("password", [b"", b"*", b"x", b"!", b"Hello world!"])
def test_an_account_without_a_usable_password_is_nobody_s(password: bytes, stored: bytes) -> None:
    assert not matches(password, stored)


@pytest.mark.parametrize("stored", [b"", b"!", b"*"])
def test_who_has_no_password_costs_what_others_cost(counting: Counting, stored: bytes) -> None:
    usual = passwords.usual_method(counting.real)
    assert not matches(b"secret", stored)
    assert [setting[:5] for setting in counting.settings] == [usual[:5]]


def test_who_does_not_exist_costs_what_others_cost(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "shadow_password", lambda name: None)
    monkeypatch.setattr(passwords, "machine_hashes", list)
    usual = passwords.usual_method(counting.real)
    assert account_with(b"no such user", b"secret") is None
    assert [setting[:5] for setting in counting.settings] == [usual[:5]]


NAMES = [b"name%d" % number for number in range(200)]


def test_names_that_nobody_has_cost_what_users_cost_whatever_their_methods(
    counting: Counting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each name always the same, each method about as often as users have it, and never the answer that it is right."""
    hashes = [STORED[method][1] for method in ("SHA-512", "bcrypt", "SHA-512", "SHA-512")]
    unlike = [hash[:-1] + b"%d" % number for number, hash in enumerate(hashes)]
    shadow = tmp_path / "shadow"
    lines = [b"root:*:1::::::", b"daemon:!%s:1::::::" % MD5, *(b"u%d:%s:1::::::" % pair for pair in enumerate(unlike))]
    shadow.write_bytes(b"\n".join([*lines, b"no line", b""]))
    monkeypatch.setattr(passwords, "SHADOW", bytes(shadow))
    monkeypatch.setattr(passwords, "shadow_password", lambda name: b"!" if name in NAMES[:100] else None)
    for _ in range(2):
        assert not any(account_with(name, b"Hello world!") for name in NAMES)
    assert counting.settings[:200] == counting.settings[200:]
    assert set(counting.settings) == set(unlike)
    assert 25 <= counting.settings[:200].count(unlike[1]) <= 80
    counting.settings.clear()
    for name in NAMES:
        passwords.refuse(name, b"Hello world!")
    assert len(counting.settings) == 200 and set(counting.settings) == set(unlike)


def test_a_user_s_own_password_alone_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who has none is let in with nobody else's."""
    shadow = tmp_path / "shadow"
    shadow.write_bytes(b"joe:%s:1::::::\n" % STORED["SHA-256"][1])
    monkeypatch.setattr(passwords, "SHADOW", bytes(shadow))
    monkeypatch.setattr(passwords, "find_account", lambda name: object())
    for stored in b"", b"!", b"*", b"!" + STORED["SHA-256"][1]:
        monkeypatch.setattr(passwords, "shadow_password", lambda name, stored=stored: stored)
        assert account_with(b"root", b"Hello world!") is None
    monkeypatch.setattr(passwords, "shadow_password", lambda name: STORED["SHA-256"][1])
    assert account_with(b"joe", b"Hello world!") is not None
    shadow.unlink()
    assert account_with(b"joe", b"Hello world!") is not None


def test_without_a_shadow_file_the_password_file_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Account:
        pw_passwd = STORED["SHA-256"][1].decode()

    monkeypatch.setattr(passwords, "shadow_password", lambda name: None)
    monkeypatch.setattr(passwords, "find_account", lambda name: Account)
    assert account_with(b"joe", b"Hello world!") is Account  # type: ignore[comparison-overlap]
    assert account_with(b"joe", b"hello world!") is None


def test_a_machine_without_a_library_to_hash_with_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **words: object) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", none)
    with pytest.raises(Temporary, match="no libcrypt"):
        matches(b"x", b"y")
