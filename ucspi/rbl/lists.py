"""A list of addresses that is kept in the domain name system (RFC 5782): what is asked, what an answer means.

The list `rbl.example` is asked about 192.0.2.1 at `1.2.0.192.rbl.example`, and about an IPv6 address at its 32
hexadecimal digits, the last one first, each a label of its own.
"""

from __future__ import annotations

import socket

from supervise.errors import Temporary
from ucspi import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ucspi.rbl.questions import Questions

LISTED = "127."  # what every list answers with (RFC 5782, section 2.3)
REFUSED = "127.255.255."  # what the large lists answer to those who may not ask them


class BlockList:
    """A list of clients that are refused, which is asked about one of them.

    Args:
        base: its name, or, for a list that has no texts, `name:text`.
        client: the client's address; `%IP%` in the text stands for it.
        questions: where the question goes.
    """

    def __init__(self, base: bytes, client: bytes, questions: Questions) -> None:
        name, colon, text = base.partition(b":")
        self.own_text = text.replace(b"%IP%", client) if colon else None
        self.answer = questions.ask(name_at(name, client), "A" if colon else "TXT")

    def text(self) -> bytes | None:
        """What the client is told, or None when it is not in the list.

        Raises:
            Temporary: the list does not say.
        """
        records = self.answer()
        if self.own_text is None:
            return b"".join(part for record in records for part in record.strings) or None
        addresses = [record.address for record in records]
        if any(address.startswith(REFUSED) for address in addresses):
            raise Temporary(b"the list does not answer us")
        return self.own_text if any(address.startswith(LISTED) for address in addresses) else None


class AllowList:
    """A list of clients that are let in, which is asked about one of them; arguments as for `BlockList`."""

    def __init__(self, base: bytes, client: bytes, questions: Questions) -> None:
        self.answer = questions.ask(name_at(base, client), "A")

    def names_it(self) -> bool:
        """Whether the client is in the list.

        Raises:
            Temporary: the list does not say.
        """
        return bool(self.answer())


def name_at(base: bytes, client: bytes) -> bytes:
    """Where the list *base* is asked about *client*; without empty labels."""
    return b".".join(label for label in [*reversed_labels(client), *base.split(b".")] if label)


def reversed_labels(client: bytes) -> list[bytes]:
    """The labels that stand for the address *client*; as ever, what is no address is cut at its dots, too."""
    known = ip.parse(client) if b":" in client else None
    if known is None:
        return client.split(b".")[::-1]
    address = ip.plain(known.partition("%")[0])
    if ":" not in address:
        return address.encode().split(b".")[::-1]
    digits = socket.inet_pton(socket.AF_INET6, address).hex()
    return [digit.encode() for digit in digits[::-1]]
