"""Who gets a message: arguments, or the addresses in its header."""

from __future__ import annotations

from mta.address import quote
from mta.inject.rewriting import plain
from mta.tokens import Unparsable, lex
from mta.tokens import plain as plain_argument
from supervise.errors import Permanent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mta.inject.rewriting import Hosts
    from mta.tokens import Token

READERS = (b"to", b"cc")
FIRST = (b"to", b"cc", b"bcc", b"apparently-to")
AGAIN = (b"resent-to", b"resent-cc", b"resent-bcc")
FIELDS = FIRST + AGAIN  # the fields that name recipients


class Recipients:
    """Recipients that the header names, in the order in which they are queued.

    Attributes:
        first: of To, Cc, Bcc, Apparently-To.
        again: of the Resent fields.
        readers: of To and Cc, whom a follow-up reaches.
    """

    def __init__(self) -> None:
        self.first: list[bytes] = []
        self.again: list[bytes] = []
        self.readers: list[bytes] = []

    def add(self, name: bytes, address: list[Token]) -> None:
        """The field *name* has this complete address."""
        recipient = plain(address)
        (self.again if name in AGAIN else self.first).append(recipient)
        if name in READERS:
            self.readers.append(recipient)

    def follow_up(self, lists: set[bytes]) -> bytes:
        """The field Mail-Followup-To, if one of *lists* is among the readers; else nothing."""
        if not any(reader.lower() in lists for reader in self.readers):
            return b""
        return b"Mail-Followup-To: " + b",\n  ".join(map(quote, reversed(self.readers))) + b"\n"


def complete(arguments: Iterable[bytes], hosts: Hosts) -> list[bytes]:
    """The recipients that the arguments name.

    Raises:
        Permanent: one is no address.
    """
    found = []
    for argument in arguments:
        try:
            found.append(plain_argument(hosts.complete(lex(quote(argument)))))
        except Unparsable:
            raise Permanent(b"unable to parse address: " + argument) from None
    return found
