"""Options as the originals read them: letters, some with a value, up to the first other word.

Long words (`--drain 10`) are for what the originals never had.  Commands that they never had take options
anywhere (`anywhere`).
"""

from __future__ import annotations

import os

from supervise.command import say
from supervise.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from supervise.command import Argv


def options(
    argv: Argv, letters: bytes, words: Mapping[bytes, bytes] | None = None
) -> tuple[list[tuple[bytes, bytes]], Argv]:
    """The options of *argv* (without its first word) and the words after them.

    A word that starts with two hyphens ends the options and is dropped, as the originals have it; when there can be
    long words, `--` alone does. A lone hyphen ends them too, and stays.

    Args:
        letters: the options there are; a letter with a value is followed by a colon, one whose
            value, if any, stands in the same word by two.
        words: as for `anywhere`; empty: there are none, and a word that looks like one is wrong.

    Returns:
        (letter, value) pairs in their order, and the rest.

    Raises:
        Usage: an unknown letter, or a value is missing; which one has been said on descriptor 2.
    """
    rest = argv[1:]
    return list(each(os.path.basename(argv[0]), rest, letters, words)), rest


def each(
    name: bytes, rest: Argv, letters: bytes, words: Mapping[bytes, bytes] | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """The options that *rest* begins with, one by one; each word is taken off *rest* when it is looked at.

    So an option can take effect before the next one turns out to be wrong.

    Args:
        name: who complains.
        rest: the words of a command line after its first.
        letters, words: as for `options`.

    Raises:
        Usage: as `options` does.
    """
    while rest and is_option(rest[0]):
        word = rest.pop(0)
        if not word.startswith(b"--"):
            yield from spelled(name, word, rest, letters)
        elif words is not None and word != b"--":
            yield long(name, word, rest, words)
        else:
            break


def anywhere(argv: Argv, letters: bytes, words: Mapping[bytes, bytes]) -> tuple[list[tuple[bytes, bytes]], Argv]:
    """As `options`, of a command that knows long words, and where options may stand behind other words.

    The word `--` ends the options and is dropped.

    Args:
        letters: as for `options`.
        words: long words (`since` for `--since`), and what is returned as letter for each; if there is a
            value, with a colon behind. The value is the next word, or stands behind `=` in the same.
    """
    name, rest = os.path.basename(argv[0]), argv[1:]
    found: list[tuple[bytes, bytes]] = []
    others: Argv = []
    while rest:
        word = rest.pop(0)
        if word == b"--":
            return found, others + rest
        if not is_option(word):
            others.append(word)
        elif word.startswith(b"--"):
            found.append(long(name, word, rest, words))
        else:
            found += spelled(name, word, rest, letters)
    return found, others


def is_option(word: bytes) -> bool:
    """Whether *word* is options and not something else; a lone hyphen is not."""
    return len(word) > 1 and word.startswith(b"-")


def long(name: bytes, word: bytes, rest: Argv, words: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """The letter that the long *word* stands for, and its value, which may be the first of *rest*."""
    said, equals, value = word.partition(b"=")
    letter = words.get(said[2:])
    if letter is None or (equals and not letter.endswith(b":")):
        say(b"%s: illegal option -- %s" % (name, word[2:]))
        raise Usage
    if letter.endswith(b":") and not equals:
        value = argument(name, said[2:], rest)
    return letter.rstrip(b":"), value


def argument(name: bytes, option: bytes, rest: Argv) -> bytes:
    """The value of *option*: the first of *rest*, which is taken off."""
    if not rest:
        say(b"%s: option requires an argument -- %s" % (name, option))
        raise Usage
    return rest.pop(0)


def spelled(name: bytes, word: bytes, rest: Argv, letters: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The options that *word* spells; a value that is not in it is taken off *rest*."""
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
            else:
                value = argument(name, letter, rest)
        yield letter, value
