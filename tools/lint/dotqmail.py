"""What is wrong with the lines of a .qmail file, each seen by itself."""

from __future__ import annotations

import os
import string

from mta.control import BLANKS
from mta.local.dotqmail import FORWARD, MAILDIR, PROGRAM, instructions, meaning
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.lint.settings import Found

IN_A_PATH = (string.ascii_letters + string.digits + "/._+-").encode()


def wrong_instructions(content: bytes, only_forward: bool, home: bytes | None = None) -> Found:
    """The lines of *content* that delivery stops at, or that cannot be meant so.

    Args:
        only_forward: as for `instructions`.
        home: where it is followed; None: in many places.
    """
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    for at, line in enumerate(lines, 1):
        line = line.rstrip(b"\r" + BLANKS)
        try:
            for kind, what in instructions(line if at == 1 else b"#\n" + line, only_forward):
                for words in wrong_instruction(kind, meaning(what), home):
                    yield at, words
        except Temporary as trouble:
            yield at, trouble.line
        only_forward = only_forward or meaning(line) == b"+list"


def wrong_instruction(kind: bytes, what: bytes, home: bytes | None) -> Iterator[bytes]:
    """What is wrong with an instruction of that *kind*, to do *what*; *home* as above."""
    if kind == FORWARD:
        if not what:
            yield b"no address behind the &"
        elif b" " in what or b"\t" in what:
            yield b"a blank in the address " + what
    elif kind == PROGRAM:
        program = what.split()[:1]
        if not program:
            yield b"no program behind the |, so mail is thrown away"
        elif program[0].startswith(b"/") and not program[0].translate(None, IN_A_PATH) and missing(program[0]):
            yield b"there is no program " + program[0]
    elif kind == MAILDIR and (home is not None or what.startswith(b"/")):
        folder = os.path.join(home or b"", what)
        if missing(folder + b"new") or missing(folder + b"tmp"):
            yield b"there is no Maildir %s, so mail waits" % what


def missing(file: bytes) -> bool:
    """Whether there is no *file*, for sure."""
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
