"""tcprulescheck - show which rule applies to a connection

Usage: tcprulescheck [--explain] rules.cdb [rules]

tcprulescheck looks up the rule that tcpserver would follow, and prints the rule's
address, the variables that it sets, and whether the connection is allowed or denied.

Options:
    --explain   print before that which addresses are looked for, in their order, down to the one that is there; and
                the line of the file rules, from which rules.cdb was made, that it comes from; and which lines of rules
                are wrong, or nobody's rule, like `10.1:deny`, which lacks a dot at its end

Environment:
    TCPREMOTEIP    the client's address, 0.0.0.0 if it is not set
    TCPREMOTEHOST  its name, if set
    TCPREMOTEINFO  what its ident server says, if set

Exit status:
    0    it is shown
    100  wrong usage
    111  rules.cdb or rules cannot be read

See also: tcprules, tcpserver
"""

from __future__ import annotations

import errno
import os

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.fd import write_all
from supervise.files import slurp
from ucspi.cdb import Cdb
from ucspi.rules.rules import is_dead, keys, lines, parse, spread, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@command(b"tcprulescheck", b"rules.cdb")
def main(argv: Argv) -> int:
    explaining = argv[1:2] == [b"--explain"]  # the original knows no options: any other word is a file
    words = argv[2:] if explaining else argv[1:2]
    if not words:
        raise Usage
    tried, data = look_up(words[0])
    report = b"default:\nallow connection\n" if data is None else rule(tried[-1], data)
    if explaining:
        key = None if data is None else tried[-1]
        report = explanation(tried) + (told_by(words[1], key) if words[1:] else b"") + report
    write_all(1, report)
    return 0


def look_up(name: bytes) -> tuple[list[bytes], bytes | None]:
    """The keys that are looked for in the rules *name*, down to the one that is there, and its data; None: none is.

    Raises:
        Temporary: they cannot be read.
    """
    cdb = Cdb.open(name)
    if cdb is None:
        raise missing(name)
    ip = os.environb.get(b"TCPREMOTEIP", b"0.0.0.0")
    tried = []
    try:
        for key in keys(cdb, ip, os.environb.get(b"TCPREMOTEHOST"), os.environb.get(b"TCPREMOTEINFO")):
            tried.append(key)
            data = cdb.get(key)
            if data is not None:
                return tried, data
    finally:
        cdb.close()
    return tried, None


def read(name: bytes) -> bytes:
    """The content of the file *name*.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        content = slurp(name)
    except OSError as error:
        raise Temporary(b"unable to read " + name, error) from None
    if content is None:
        raise missing(name)
    return content


def missing(name: bytes) -> Temporary:
    return Temporary(b"unable to read " + name, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))


def rule(key: bytes, data: bytes) -> bytes:
    """The rule *key* in words."""
    allowed, settings = unpack(data)
    lines = [b"rule %s:" % key, *(b"set environment variable " + setting for setting in settings)]
    lines += [b"allow connection" if allowed else b"deny connection", b""]
    return b"\n".join(lines)


def explanation(tried: list[bytes]) -> bytes:
    """Which addresses were looked for, a line each."""
    return b"".join(b"looked for %s\n" % (key or b"(nothing)") for key in tried)


def told_by(name: bytes, key: bytes | None) -> bytes:
    """What the file *name* tells: which of its lines are for nobody, and where the rule *key* stands, if there is one.

    Raises:
        Temporary: the file cannot be read.
    """
    source = read(name)
    report = b"".join(b"line %d of %s is %s: %s\n" % (at, name, why, line) for at, line, why in useless(source))
    if key is None:
        return report
    found = line_of(key, source)
    return report + (b"from line %d of %s: %s\n" % (found[0], name, found[1]) if found else b"not from %s\n" % name)


def useless(source: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The lines in *source* that no connection follows: number, text, and what they are."""
    for at, line in lines([source]):
        try:
            keys = spread(parse(line)[0])
        except ValueError:
            yield at, line, b"no rule"
            continue
        if all(map(is_dead, keys)):
            yield at, line, b"nobody's rule"


def line_of(key: bytes, source: bytes) -> tuple[int, bytes] | None:
    """The number and the text of the first line in *source* that stands for *key*."""
    for number, line in lines([source]):
        try:
            if key in spread(parse(line)[0]):
                return number, line
        except ValueError:  # no rule
            continue
    return None
