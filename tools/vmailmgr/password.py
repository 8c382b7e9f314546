"""Passwords of a domain's users: have one typed, and tell whether one is right."""

from __future__ import annotations

from mta.pop3 import passwords
from tools.vmailmgr.domain import Refused

PLAIN = b"$0$"  # in front of a password that is stored as it is
OLD_MD5 = b"3"  # in front of 32 hexadecimal digits


def stored(password: bytes) -> bytes:
    """What is stored for *password*.

    Raises:
        Refused: there is a NUL in it, behind which nothing would count.
    """
    if b"\0" in password:
        raise Refused(b"the password contains a NUL")
    return passwords.hashed(password)


def new_password(command: bytes) -> bytes:
    """What is stored for the password that is typed.

    Raises:
        Refused: none is; said.
    """
    password = passwords.typed(command)
    if not password:
        raise Refused
    return stored(password)


def matches(password: bytes, stored: bytes) -> bool:
    """Whether *password* is the one that is *stored*, in one of the forms that tables have had.

    Raises:
        Temporary: this machine cannot hash.
    """
    from hmac import compare_digest

    if not password:
        return False
    if stored.startswith(PLAIN):
        return compare_digest(stored, PLAIN + password)
    if stored.startswith(OLD_MD5) and len(stored) == 33:
        from hashlib import md5

        return compare_digest(stored, OLD_MD5 + md5(password, usedforsecurity=False).hexdigest().encode())
    return passwords.matches(password, stored)
