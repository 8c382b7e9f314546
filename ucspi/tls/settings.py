"""What a server is told of TLS: options, and variables that name files (see `certificates`)."""

from __future__ import annotations

from supervise.errors import Permanent

WORDS = (b"tls", b"starttls", b"tls-environment", b"client-certificate")
NEVER, ASK, REQUIRE = b"never", b"ask", b"require"  # a certificate of the client


class TlsSettings:
    """The options: speak TLS `at_once` or when the program says so; whether to `tell` the program about it."""

    __slots__ = ("at_once", "client", "patience", "rest", "tell", "with_all_rights")

    def __init__(self) -> None:
        self.at_once = True
        self.tell = False
        self.client = NEVER
        self.patience = 26.0  # seconds to shake hands
        self.rest = 3600.0  # seconds without a byte
        self.with_all_rights = True  # those that we start with, to read the keys

    def set(self, word: bytes, value: bytes) -> None:
        """Take one option.

        Raises:
            Permanent: it cannot have this value.
        """
        if word == b"tls-environment":
            self.tell = True
        elif word == b"client-certificate":
            if value not in (NEVER, ASK, REQUIRE):
                raise Permanent(b"--client-certificate needs never, ask or require and not " + value)
            self.client = value
        else:
            self.at_once = word == b"tls"
