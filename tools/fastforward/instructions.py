"""Forwarding instructions: their language, their cdb.

    boss@example.org: god@example.net, |log-it;     # a comment
    staff@example.org: ?owner-staff@example.org, ./staff.bin;

An instruction is a target, a colon, commands with commas between them, and a semicolon.  A backslash takes
the byte after it as it is; otherwise blanks, tabs and line ends vanish, wherever they stand, and `#` begins
a comment.  Commands are told by their first byte:

    &address        forward; the & may be left out
    ?address        forward with this envelope sender
    |program        run by sh with the message
    !program        the same, with the lines `From `, Return-Path and Delivered-To in front
    ./file /file    forward to the members of a binary list (see maillist.py)

Records of the cdb, the target being in lower case:

    :target         the commands, but for `?`, a NUL after each; with `&` in front of each address
    ?target         the envelope sender

A target is an address, `@host` for everybody there, or `user@` for that user at any host.
"""

from __future__ import annotations

from supervise.errors import Permanent
from tools.fastforward.recipients import LONGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COMMANDS, OWNER = b":", b"?"  # what keys begin with
FIRST = b"&", b".", b"/", b"|", b"!"  # what commands in a record begin with
TOO_LONG = b"addresses over %d bytes are not permitted" % LONGEST
BLANKS = b" \t\n"
MARKS = b":", b",", b";"
PLAIN = bytes(byte for byte in range(33, 128) if byte not in b"#\\:,;")  # printed as they are


def compile(lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The records of instructions: pairs of key and data.

    Args:
        lines: the text, with line ends.

    Raises:
        Permanent: these are no instructions.
    """
    target: bytes | None = None
    letters, data = bytearray(), bytearray()
    for mark, text in marks(lines):
        letters += text
        if not mark:
            continue
        word = bytes(letters)
        letters.clear()
        if mark == b":":
            if target is not None:
                raise Permanent(b"double colons are not permitted")
            target = word.lower()
        elif target is None:
            raise Permanent(b"commas are not permitted before colons")
        elif word.startswith(OWNER):
            yield OWNER + target, word[1:]
        elif word:
            data += spelled(word) + b"\0"
        if mark == b";":
            if data:
                yield COMMANDS + (target or b""), bytes(data)
            target = None
            data.clear()
    if target is not None or letters:
        raise Permanent(b"final instruction must end with semicolon")


def spelled(command: bytes) -> bytes:
    """*command* as records have it.

    Raises:
        Permanent: its address is too long.
    """
    first = command[:1]
    if first in FIRST[1:]:
        return command
    if len(command) > LONGEST:
        raise Permanent(TOO_LONG)
    return command if first == FIRST[0] else FIRST[0] + command


def marks(lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Take instructions apart: pairs of a mark, or nothing, and the part of a word in front of it."""
    for line in lines:
        if b"\\" in line or b"\0" in line:
            yield from slowly(line)
            continue
        line = line.partition(b"#")[0].translate(None, BLANKS)
        for mark in MARKS:
            line = line.replace(mark, mark + b"\0")
        for part in line.split(b"\0"):
            if part.endswith(MARKS):
                yield part[-1:], part[:-1]
            else:
                yield b"", part


def slowly(line: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The same for one line in which a byte is quoted, or is a NUL."""
    bytewise = (line[at : at + 1] for at in range(len(line)))
    for byte in bytewise:
        if byte == b"#":
            return
        quoted = byte == b"\\"
        if quoted:
            byte = next(bytewise, b"")
        if byte == b"\0":
            raise Permanent(b"NUL bytes are not permitted")
        if quoted or byte not in (b" ", b"\t", b"\n", *MARKS):
            yield b"", byte
        elif byte in MARKS:
            yield byte, b""


def print_record(key: bytes, data: bytes) -> bytes:
    """The instruction for a record, as `compile` reads it.

    Raises:
        ValueError: this is no such record.
    """
    if key.startswith(OWNER):
        return b"%s: ?%s;\n" % (quoted(key[1:]), quoted(data))
    *commands, rest = data.split(b"\0")
    if not key.startswith(COMMANDS) or rest or not all(command.startswith(FIRST) for command in commands):
        raise ValueError(key)
    return b"%s:\n%s;\n" % (quoted(key[1:]), b"".join(b", " + quoted(command) + b"\n" for command in commands))


def quoted(word: bytes) -> bytes:
    """*word* with backslashes where it needs them."""
    if not word.translate(None, PLAIN):
        return word
    return b"".join(bytes((byte,)) if byte in PLAIN else b"\\%c" % byte for byte in word)
