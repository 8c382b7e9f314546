"""Options as the originals read them: letters, some with a value, up to the first other word."""

from __future__ import annotations

import os

from supervise.command import say
from supervise.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.command import Argv


def options(argv: Argv, letters: bytes) -> tuple[list[tuple[bytes, bytes]], Argv]:
    """The options of *argv* (without its first word) and the words after them.

    A word that starts with two hyphens ends the options and is dropped; a lone hyphen
    ends them too, and stays.

    Args:
        letters: the options there are; a letter with a value is followed by a colon, one whose
            value, if any, stands in the same word by two.

    Returns:
        (letter, value) pairs in their order, and the rest.

    Raises:
        Usage: an unknown letter, or a value is missing; which one has been said on descriptor 2.
    """
    rest = argv[1:]
    return list(each(os.path.basename(argv[0]), rest, letters)), rest


def each(name: bytes, rest: Argv, letters: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The options that *rest* begins with, one by one; each word is taken off *rest* when it is looked at.

    So an option can take effect before the next one turns out to be wrong.

    Args:
        name: who complains.
        rest: the words of a command line after its first.
        letters: as for `options`.

    Raises:
        Usage: as `options` does.
    """
    while rest and len(rest[0]) > 1 and rest[0].startswith(b"-"):
        word = rest.pop(0)
        if word.startswith(b"--"):
            break
        at = 1
        while at < len(word):
            letter = word[at : at + 1]
            at += 1
            where = letters.find(letter)
            if letter == b":" or where < 0:
                say(b"%s: illegal option -- %s" % (name, letter))
                raise Usage
            value = b""
            if letters[where + 1 : where + 2] == b":":
                optional = letters[where + 2 : where + 3] == b":"
                if at < len(word) or optional:
                    value, at = word[at:], len(word)
                elif rest:
                    value = rest.pop(0)
                else:
                    say(b"%s: option requires an argument -- %s" % (name, letter))
                    raise Usage
            yield letter, value
