"""Addresses made complete: a host for a bare name, a domain for a bare host.

    joe             joe@defaulthost
    joe@host        joe@host.defaultdomain
    joe@host+       joe@host.plusdomain
    joe@irs.gov.    joe@irs.gov
    @route:joe@x    joe@x

`<>`, the empty address, stays as it is, and so does one that ends in `@[]`.
"""

from __future__ import annotations

import os

from mta import control, tokens
from mta.header import fold
from mta.tokens import AT, ATOM, COLON, LITERAL, Unparsable, lex, parts, unlex
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mta.tokens import Token

UNFINISHED = (AT, (LITERAL, b""))
NAME = 2  # tokens of a field before its value: name and colon


class Hosts:
    """The names that complete addresses, from the environment or the control files.

    Attributes:
        for_ids: the host in a Message-ID.

    Raises:
        Temporary: a control file cannot be read.
        Unparsable: one holds no host name.
    """

    def __init__(self) -> None:
        try:
            me = control.value(b"me")
            self.default_domain = lex(b"." + host(b"defaultdomain", me))
            self.default_host = lex(b"@" + host(b"defaulthost", me))
            self.plus_domain = lex(b"." + host(b"plusdomain", me))
            self.for_ids = host(b"idhost", me)
        except Temporary:
            raise Temporary(b"read error") from None

    def complete(self, address: list[Token]) -> list[Token]:
        """*address*, complete."""
        if tuple(address[-2:]) == UNFINISHED:
            return address
        address = without_route(address)
        for stray in (b".", b"@"):
            if address and address[-1][0] == stray:
                address = address[:-1]
        if not address:
            return address
        if AT not in address:
            address = address + self.default_host
        kind, text = address[-1]
        if kind == ATOM and text.endswith(b"+"):
            address = [*address[:-1], (ATOM, text[:-1]), *self.plus_domain]
        return address if is_qualified(address) else address + self.default_domain


def host(name: bytes, me: bytes | None) -> bytes:
    """The host name *name*: from the environment, or from `control/name`, else *me*, else *name* itself."""
    found = control.value(name)  # as the original: it must be readable even when the environment has the last word
    if found is None:
        found = name if me is None else me
    return os.environb.get(b"QMAIL" + name.upper(), found).replace(b"\n", b" ")  # a line end would end the field


def without_route(address: list[Token]) -> list[Token]:
    """*address* without a source route, `@a,@b:`; nothing is left of one that has no colon after it."""
    if not address or address[0] != AT:
        return address
    return address[address.index(COLON) + 1 :] if COLON in address else []


def is_qualified(address: list[Token]) -> bool:
    """Whether the host has a dot or is a literal."""
    for kind, _ in reversed(address):
        if kind in (b".", LITERAL):
            return True
        if kind == b"@":
            break
    return False


def rewrite(field: bytes, change: Callable[[list[Token]], list[Token]]) -> bytes:
    """*field* with each address in it changed, in our own spelling and folded.

    Args:
        change: is given one address after another, from right to left, and returns what to put in its place.

    Raises:
        Unparsable: it is no list of addresses; those right of the error have been given to *change*.
    """
    try:
        words = lex(field)
        pieces = [change(part) if is_address else part for is_address, part in parts(words[NAME:])]
    except Unparsable:
        raise Unparsable(field) from None
    return spell([*words[:NAME], *(token for piece in reversed(pieces) for token in piece)])


def spell(words: list[Token]) -> bytes:
    """The field that the tokens make."""
    return fold(unlex(words))


def plain(address: list[Token]) -> bytes:
    """The address of an envelope that the tokens of a field stand for.

    A fold within quotes is no part of it (RFC 5322, section 3.2.4).  As the original, it ends at a NUL.
    """
    return tokens.plain(address).replace(b"\n", b"").partition(b"\0")[0]
