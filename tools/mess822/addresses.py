"""Lists of addresses as mess822 understands them: names and addresses, in reading order.

    To: Bill Q. Smith <bill@irs.example>, joe (at work), friends: sue;

A list is made of records, (NAME, text) and (ADDRESS, text).  A name is what stands in front of `<` or `:` and what
is in comments; it belongs to the address that follows it, also to that of the next field, and when another name
follows, to nobody.  An address is plain, as envelopes have it; without a host it ends with `@`, and `<>` is `@`.

Any text is a list: this reads from right to left, and takes what it finds.
"""

from __future__ import annotations

from mta.address import quote_local
from mta.header import fold
from mta.tokens import BLANK, COMMENT, LITERAL, WORDS, lex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mta.tokens import Token

NAME, ADDRESS = False, True
Record = tuple[bool, bytes]

NOBODY = b"", b"@"
WIDTH = 80  # as mta.header.fold counts: lines have at most 78 bytes
ESCAPED = b"\\", b'"', b"[", b"]", b"\r", b"\0"  # these get a backslash between quotes; itself first


def value_of(field: bytes) -> bytes:
    """What stands behind the colon of *field*, in one line, with its first blank."""
    return field.partition(b":")[2].replace(b"\n", b"")


def addresses(text: bytes) -> list[Record]:
    """The records of the list *text*, which is in one line."""
    return Reading(lex(text, loose=True)).records()


class Reading:
    """A list while it is read from right to left.

    Args:
        tokens: those of the list, which are taken off.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.found: list[Record] = []  # from right to left, as are the next two
        self.name: list[bytes] = []
        self.address: list[bytes] | None = None  # None: there is none yet
        self.has_host = False
        self.complete = False  # a word would begin another address

    def records(self) -> list[Record]:
        """All that there is."""
        in_name = False
        while self.tokens:
            kind, text = token = self.tokens.pop()
            if in_name:
                if kind not in (b",", b";", b":", b">"):
                    self.add_name(token)
                    continue
                self.end_address()
                in_name = self.complete = False
            if kind in (b",", b";"):
                self.end_address()
                self.end_name()
                self.complete = False
            elif kind == COMMENT:
                self.name += [b" ", text, b" "]
            elif kind == b">":
                self.end_address()
                self.bracketed()
                in_name = True
            elif kind == b":":
                in_name = True
            else:
                if kind in WORDS and self.complete:
                    self.end_address()
                self.add(token)
                if token != BLANK:
                    self.complete = kind in WORDS
        self.end_address()
        self.end_name()
        return self.found[::-1]

    def bracketed(self) -> None:
        """Take the address that stands left of `>`, and `<` with it; a source route is a part of the name."""
        self.address = []
        in_route = False
        while self.tokens and (token := self.tokens.pop())[0] != b"<":
            in_route = in_route or token[0] == b":"
            if in_route:
                self.add_name(token)
            else:
                self.add(token)

    def add(self, token: Token) -> None:
        """Take a token that belongs to an address, if it can."""
        kind, _ = token
        if (kind in WORDS and kind != COMMENT) or kind in (b".", b"@"):
            self.address = [*(self.address or ()), text_of(token)]
            self.has_host = self.has_host or kind == b"@"
        else:
            self.add_name(token)

    def add_name(self, token: Token) -> None:
        """Take a token that belongs to a name."""
        self.name.append(text_of(token))

    def end_address(self) -> None:
        """There is no more of the address, if there is one, nor of its name."""
        if self.address is not None:
            host = b"" if self.has_host else b"@"
            self.found.append((ADDRESS, b"".join(reversed(self.address)) + host))
            self.address, self.has_host = None, False
            self.end_name()

    def end_name(self) -> None:
        """There is no more of the name, if there is one."""
        words = [word for word in b"".join(reversed(self.name)).split(b" ") if word]
        if words:
            self.found.append((NAME, b" ".join(words)))
        self.name.clear()


def text_of(token: Token) -> bytes:
    """What is meant by *token* in an address or a name."""
    kind, text = token
    if kind == LITERAL:
        return b"[" + text + b"]"
    if kind in WORDS:
        return text
    return kind if kind in (b".", b"@", b" ") else b""


def paired(records: Iterable[Record]) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Each address with its name: (name, address), either of which may be None."""
    name = None
    for is_address, text in records:
        if is_address:
            yield name, text
            name = None
        else:
            if name is not None:
                yield name, None
            name = text
    if name is not None:
        yield name, None


def field(name: bytes, records: Iterable[Record]) -> bytes:
    """The field *name*, with its line end, that is the list *records*; nothing when that is empty."""
    texts = [spelled(*pair) for pair in paired(records)]
    if not texts:
        return b""
    return (
        fold([(b"" if at else name + b":") + b" " + text + b"," for at, text in enumerate(texts)], WIDTH)[:-2] + b"\n"
    )


def spelled(name: bytes | None, address: bytes | None) -> bytes:
    """An address, a name or both, as fields have them."""
    if address is None:
        return quoted(name or b"") + b": ;"
    text = b"" if address in NOBODY else unbracketed(address)
    if name is None:
        return text or b"<>"
    return quoted(name) + b" <" + text + b">"


def unbracketed(address: bytes) -> bytes:
    """*address*, quoted as it must be."""
    local, at, host = address.rpartition(b"@")
    if not at:
        local, host = host, b""
    if len(host) > 1 and host.startswith(b"[") and host.endswith(b"]"):
        return part(local) + b"@[" + escaped(host[1:-1]) + b"]"
    return part(local) + (b"@" + part(host) if host else b"")


def part(text: bytes) -> bytes:
    """A local part or a host, quoted if it must be."""
    return text if quote_local(text) == text else quoted(text)


def quoted(text: bytes) -> bytes:
    """*text* between double quotes."""
    return b'"' + escaped(text) + b'"'


def escaped(text: bytes) -> bytes:
    """*text* as it stands between quotes or brackets."""
    for special in ESCAPED:
        text = text.replace(special, b"\\" + special)
    return text
