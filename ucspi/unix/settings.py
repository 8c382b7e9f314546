"""What unixserver is told to do: its options and arguments."""

from __future__ import annotations

import os

from supervise.command import say
from supervise.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from supervise.command import Argv

LETTERS = b"dDqQvUOc:u:g:b:B:m:o:r:p:"
MOST = 0xFFFFFFFF  # numbers are as large as the original's
UNSET = MOST  # the user or the group that says: stay as you are


class Settings:
    """unixserver's options, under the names of what they mean."""

    __slots__ = (
        "backlog", "banner", "delete", "gid", "limit", "mask", "mode", "path", "program", "socket_gid", "socket_uid",
        "uid", "verbose",
    )  # fmt: skip

    def __init__(self) -> None:
        self.path = b""
        self.program: Argv = []
        self.verbose = False
        # listening
        self.mask = 0
        self.mode = 0  # 0: what the mask leaves
        self.socket_uid = self.socket_gid = UNSET
        self.backlog = 128
        self.uid = self.gid = UNSET
        self.delete = True  # at the end
        # each connection
        self.limit = 10
        self.banner = b""

    @classmethod
    def read(cls, argv: Argv) -> Settings:
        """The settings that *argv* means.

        Raises:
            Usage: something is wrong with an option, which has been said on descriptor 2, or a word is missing.
        """
        settings = cls()
        words: Argv = []
        for letter, value in getopt(argv, LETTERS, words):
            settings.set(argv[0], letter, value)
        if len(words) < 2:
            raise Usage
        settings.path, *settings.program = words
        return settings

    def set(self, name: bytes, letter: bytes, value: bytes) -> None:
        """Take one option; *name* complains of it."""
        if letter in FLAGS:
            setting, on = FLAGS[letter]
            setattr(self, setting, on)
        elif letter in NUMBERS:
            setting, base, kind = NUMBERS[letter]
            setattr(self, setting, number(name, value, base, kind))
        elif letter in ACCOUNTS:
            for setting, variable, missing, kind in ACCOUNTS[letter]:
                found = os.environb.get(variable)
                if found is None:
                    complain(name, missing + b" not found in environment.")
                setattr(self, setting, number(name, found, 10, kind))
        else:
            self.banner = value


FLAGS = {
    b"d": ("delete", False),
    b"D": ("delete", True),
    b"q": ("verbose", False),
    b"Q": ("verbose", False),
    b"v": ("verbose", True),
}
NUMBERS = {
    b"c": ("limit", 10, b"connection limit number."),
    b"b": ("backlog", 10, b"backlog count."),
    b"m": ("mask", 8, b"mask value."),
    b"p": ("mode", 8, b"permissions value."),
    b"u": ("uid", 10, b"UID number"),
    b"g": ("gid", 10, b"GID number"),
    b"o": ("socket_uid", 10, b"socket UID number"),
    b"r": ("socket_gid", 10, b"socket GID number"),
}
ACCOUNTS = {
    b"U": (("uid", b"UID", b"UID", b"UID number"), ("gid", b"GID", b"GID", b"GID number")),
    b"O": (
        ("socket_uid", b"SOCKET_UID", b"Socket UID", b"socket UID number"),
        ("socket_gid", b"SOCKET_GID", b"Socket GID", b"socket GID number"),
    ),
}


def getopt(argv: Argv, letters: bytes, words: Argv) -> Iterator[tuple[bytes, bytes]]:
    """The options of *argv*, wherever they stand before a `--`; what is none is put into *words*.

    That is how the C library finds them: those of a program that follows would be ours. As there, nothing after
    the first word is an option when POSIXLY_CORRECT is set.

    Raises:
        Usage: an unknown letter, or a value is missing.
    """
    rest = argv[1:]
    while rest:
        word = rest.pop(0)
        if word == b"--":
            break
        if len(word) < 2 or not word.startswith(b"-"):
            words.append(word)
            if b"POSIXLY_CORRECT" in os.environb:
                break
            continue
        at = 1
        while at < len(word):
            letter = word[at : at + 1]
            at += 1
            where = letters.find(letter)
            if letter == b":" or where < 0:
                complain(argv[0], b"invalid option -- '%s'" % letter)
            value = b""
            if letters[where + 1 : where + 2] == b":":
                if at == len(word) and not rest:
                    complain(argv[0], b"option requires an argument -- '%s'" % letter)
                value = word[at:] or rest.pop(0)
                at = len(word)
            yield letter, value
    words += rest


def number(name: bytes, text: bytes, base: int, kind: bytes) -> int:
    """The number that all of *text* is, cut to the size of the original's; nothing is 0.

    Raises:
        Usage: it is none.
    """
    digits = text.lstrip(b" \t\n\v\f\r")
    negative = digits.startswith(b"-")
    if digits[:1] in (b"-", b"+"):
        digits = digits[1:]
    if text and not (digits.isdigit() and all(digit - 48 < base for digit in digits)):
        complain(name, b"Invalid " + kind)
    value = min(int(digits or b"0", base), 2**64 - 1)
    return (-value if negative else value) & MOST


def complain(name: bytes, line: bytes) -> NoReturn:
    """Say what is wrong with the command line.

    Raises:
        Usage: always.
    """
    say(name + b": " + line)
    raise Usage
