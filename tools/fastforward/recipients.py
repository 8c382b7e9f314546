"""Recipients as sendmail's files have them: addresses, programs, files, lists.

    bob (Bob, the postmaster), Joe Shmoe <shmoe@heaven.af.mil>, "|vacation bob", :include:/etc/staff

The words are those of a header field (RFC 822).  A recipient without an unquoted `@` that begins with
`|` is a program, with `/` a file, else the name of somebody here.  A comma ends a recipient, and so do
two words with nothing between them; colons and semicolons only separate words.  There are no groups, and
what stands in angle brackets is the address as it is.
"""

from __future__ import annotations

import os

from mta import control
from mta.home import home
from mta.tokens import AT, ATOM, COLON, COMMENT, WORDS, Token, Unparsable, last, lex, plain, start_of_name
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME, ADDRESS, PROGRAM, FILE, LIST = b"name", b"address", b"program", b"file", b"list"
INCLUDE = [COLON, (ATOM, b"include")]  # and another colon
HOSTS = b"defaulthost", b"defaultdomain", b"plusdomain"
LONGEST = 800  # bytes of an address


def lines(content: bytes) -> Iterator[bytes]:
    """The lines of a file with their ends, but for those that begin with `#`; the last one may lack its end."""
    *whole, rest = content.split(b"\n")
    for line in whole:
        if not line.startswith(b"#"):
            yield line + b"\n"
    if rest and not rest.startswith(b"#"):
        yield rest


def recipients(text: bytes, lists: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """What *text* names, from right to left: pairs of a kind and of what it is, without any quoting.

    Args:
        lists: whether `:include:` has a meaning.

    Raises:
        Unparsable: these are no words, and nothing has been yielded; or there is a `>` without its `<`, and
            what stands right of that has been yielded.
    """
    rest = lex(text)
    found: list[Token] = []  # of one recipient, from right to left
    joins = True  # whether a word would belong to it
    while rest:
        token = rest.pop()
        kind = token[0]
        if lists and token == COLON and rest[-2:] == INCLUDE:
            del rest[-2:]
            yield LIST, plain(found[::-1])
            found = []
        if kind in (COMMENT, b":", b";"):
            continue
        word = kind in WORDS
        if found and (kind in (b",", b">") or (word and not joins)):
            yield recipient(found[::-1])
            found = []
        if kind == b">":
            at = last(rest, b"<")
            yield recipient(rest[at + 1 :])
            if at < 0:
                raise Unparsable(text)
            del rest[start_of_name(rest, at) :]
        elif kind != b",":
            found.append(token)
            joins = not word
    if found:
        yield recipient(found[::-1])


def recipient(words: list[Token]) -> tuple[bytes, bytes]:
    """The kind of the recipient that *words* stand for, and what it is; the text of a program lacks its `|`."""
    text = plain(words)
    if AT in words:
        return ADDRESS, text
    if text.startswith(b"|"):
        return PROGRAM, text[1:]
    return FILE if text.startswith(b"/") else NAME, text


class Hosts:
    """The names that complete addresses, from the control files.

        joe           joe@defaulthost
        joe@host      joe@host.defaultdomain
        joe@host+     joe@host.plusdomain

    Args:
        variables: an environment whose QMAILDEFAULTHOST, QMAILDEFAULTDOMAIN and QMAILPLUSDOMAIN count first.

    Raises:
        Temporary: there is no home, or a control file cannot be read.
    """

    def __init__(self, variables: Mapping[bytes, bytes] | None = None) -> None:
        folder = home()
        try:
            os.stat(folder + b"/.")
        except OSError as error:
            raise Temporary(b"unable to chdir to " + folder, error) from None
        try:
            me = control.value(b"me")
            given = [control.value(name) for name in HOSTS]
        except Temporary as error:
            raise Temporary(b"unable to read controls", error.args[1]) from None
        usual = b"me" if me is None else me
        self.host, self.domain, self.plus = (
            (variables or {}).get(b"QMAIL" + name.upper(), usual if value is None else value)
            for name, value in zip(HOSTS, given, strict=True)
        )

    def complete(self, kind: bytes, text: bytes) -> bytes:
        """The whole address of a NAME or an ADDRESS."""
        if kind == NAME:
            text += b"@" + self.host
        if text.endswith(b"+"):
            return text[:-1] + b"." + self.plus
        return text if b"." in text[text.rfind(b"@") :] else text + b"." + self.domain
