"""Tokens of structured header fields, and the addresses among them (RFC 822, section 3.3 and appendix D).

    To: Bill Q. Smith <bill@irs.example> (at work), friends: joe, "joe q"@heaven.example;

A token is a pair: its kind and its text.  A special character, one of `. , @ < > : ;`, is a
kind by itself and has no text; a word is an ATOM, QUOTED, a LITERAL or a COMMENT, with its
text as it is meant, without the quoting.  White space, folds included, only separates.

As the original we are liberal in what we take: any byte may be in a word, and `)` or `]` within
an atom is part of it.  A word of an atom's form whose bytes need quotes becomes a QUOTED one.
Comments may be nested; the inner parentheses are lost.

For who keeps names as they are written there is a looser reading: each blank is a token too, a BLANK,
a comment keeps its inner parentheses, and nothing is unparsable.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

Token = tuple[bytes, bytes]  # kind, text

ATOM, QUOTED, LITERAL, COMMENT = WORDS = b"a", b'"', b"[", b"("
SPECIALS = {ord(kind): (kind, b"") for kind in (b".", b",", b"@", b"<", b">", b":", b";")}
BLANK = b" ", b""  # of the looser reading
COMMA, AT, COLON, LEFT, RIGHT = (SPECIALS[byte] for byte in b",@:<>")
CLOSING = {QUOTED: b'"', LITERAL: b"]", COMMENT: b")"}
BLANKS = b" \t\r\n"
ATOM_ENDS = BLANKS + b'([".,@<>:;'
ATOM_TEXT = bytes(byte for byte in range(32, 127) if byte not in b")]\\")
BACKSLASH = ord("\\")
ESCAPED = b"\\", b'"', b"[", b"]", b"(", b")", b"\r", b"\n"  # these get a backslash in any word; itself first
NAME = (ATOM, QUOTED, COMMENT, b"@", b".")  # what the name in front of `<` may be made of


class Unparsable(Exception):
    """A text is no list of tokens, or a list of tokens no list of addresses.

    Args:
        text: what could not be parsed.
    """

    def __init__(self, text: bytes = b"") -> None:
        super().__init__(text)
        self.text = text


def lex(text: bytes, loose: bool = False) -> list[Token]:
    """The tokens of *text*.

    Args:
        loose: the looser reading; what has no end reaches to that of *text*.

    Raises:
        Unparsable: a quoted string, a literal or a comment has no end, or `)` or `]` begins a word.
    """
    tokens = []
    at = 0
    while at < len(text):
        byte = text[at]
        if byte in SPECIALS:
            tokens.append(SPECIALS[byte])
            at += 1
        elif byte in BLANKS:
            if loose:
                tokens.append(BLANK)
            at += 1
        elif byte in b'"[(':
            token, at = enclosed(text, at, loose)
            tokens.append(token)
        elif byte in b")]" and not loose:
            raise Unparsable(text)
        else:
            token, at = atom(text, at)
            if token[1]:
                tokens.append(token)
    return tokens


def atom(text: bytes, at: int) -> tuple[Token, int]:
    """The atom that begins at *at*, and where it ends."""
    word = bytearray()
    while at < len(text) and (byte := text[at]) not in ATOM_ENDS:
        at += 1
        if byte == BACKSLASH:
            if at == len(text) or text[at] in b"\r\n":  # not as the original, which takes the line's end into the word
                break
            byte = text[at]
            at += 1
        word.append(byte)
    return (QUOTED if word.translate(None, ATOM_TEXT) else ATOM, bytes(word)), at


def enclosed(text: bytes, at: int, loose: bool = False) -> tuple[Token, int]:
    """The quoted string, literal or comment that begins at *at*, and where it ends."""
    kind = text[at : at + 1]
    closing = ord(CLOSING[kind])
    word = bytearray()
    depth = 1
    letters = iter(range(at + 1, len(text)))
    for at in letters:
        byte = text[at]
        if byte == closing:
            depth -= 1
            if not depth:
                return (kind, bytes(word)), at + 1
            if loose:
                word.append(byte)
        elif kind == COMMENT and byte == ord("("):
            depth += 1
            if loose:
                word.append(byte)
        elif byte == BACKSLASH:
            word += text[at + 1 : at + 2]
            next(letters, None)
        else:
            word.append(byte)
    if loose:
        return (kind, bytes(word)), len(text)
    raise Unparsable(text)


def unlex(tokens: list[Token]) -> list[bytes]:
    """The text of *tokens*, in pieces: all but the last end with a comma, after which a line may be folded."""
    pieces = [b""]
    line: list[bytes] = []
    before: bytes | None = None
    for kind, text in tokens:
        if before is not None and spaced(before, kind):
            line.append(b" ")
        line.append(spelled(kind, text))
        if kind == b",":
            pieces[-1] = b"".join(line)
            pieces.append(b"")
            line.clear()
        before = kind
    pieces[-1] = b"".join(line)
    return pieces


def spaced(before: bytes, kind: bytes) -> bool:
    """Whether a blank stands between tokens of these kinds."""
    return before in (b":", b",") or kind == b"<" or (before in WORDS and kind in WORDS)


def spelled(kind: bytes, text: bytes) -> bytes:
    """One token as it is written."""
    if kind not in WORDS:
        return kind
    for special in ESCAPED:
        if special in text:
            text = text.replace(special, b"\\" + special)
    return text if kind == ATOM else kind + text + CLOSING[kind]


def plain(address: list[Token]) -> bytes:
    """The address that the tokens stand for, as envelopes have it: without quotes and comments."""
    return b"".join(
        b"[" + text + b"]" if kind == LITERAL else text if kind in WORDS else kind
        for kind, text in address
        if kind != COMMENT
    )


def parts(tokens: list[Token]) -> Iterator[tuple[bool, list[Token]]]:
    """Take a list of addresses apart, from right to left, because that way it is easy.

    Yields:
        (True, the tokens of an address) or (False, the tokens of what stands between), in
        reading order within each.  A comma is put where two addresses have nothing between
        them; a comment within an address comes to stand right of it.

    Raises:
        Unparsable: a group within a group, a group without its end, or `>` without `<`;
            what stands right of it has been yielded.
    """
    rest = tokens[:]
    address: list[Token] = []  # from right to left
    in_group = False
    joins = True  # whether a word would belong to the address right of it
    while rest:
        token = rest.pop()
        kind = token[0]
        word = kind in WORDS and kind != COMMENT
        apart = kind in (b";", b">") or (word and not joins)
        if address and (apart or kind in (b",", b":")):
            yield True, address[::-1]
            address = []
            if apart:
                yield False, [COMMA]
        if word or kind in (b"@", b".", b"<"):
            address.append(token)
            joins = not word
        elif kind == b">":
            yield False, [token]
            at = last(rest, b"<")
            yield True, rest[at + 1 :]
            if at < 0:
                raise Unparsable
            name = start_of_name(rest, at)
            yield False, rest[name : at + 1]
            del rest[name:]
            joins = False
        elif kind == b":":
            if not in_group:
                raise Unparsable
            name = max(0, last(rest, b","))
            yield False, [*rest[name:], token]
            del rest[name:]
            in_group, joins = False, True
        else:
            if kind == b";":
                if in_group:
                    raise Unparsable
                in_group = True
            joins = joins or kind != COMMENT
            yield False, [token]
    if address:
        yield True, address[::-1]


def last(tokens: list[Token], kind: bytes) -> int:
    """Where the last token of *kind* is; -1 when there is none."""
    at = len(tokens) - 1
    while at >= 0 and tokens[at][0] != kind:
        at -= 1
    return at


def start_of_name(tokens: list[Token], end: int) -> int:
    """Where the name begins that stands in front of the `<` at *end*."""
    while end and tokens[end - 1][0] in NAME:
        end -= 1
    return end
