"""A crypt(3) that keeps what it is asked for: who costs how much to check."""

from __future__ import annotations

from mta.pop3 import passwords


class Counting:
    """The library, which keeps what it was asked to hash with."""

    def __init__(self) -> None:
        self.real = passwords.crypt_library()
        self.settings: list[bytes] = []

    def crypt(self, password: bytes, setting: bytes) -> bytes | None:
        self.settings.append(setting)
        return self.real.crypt(password, setting)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)
