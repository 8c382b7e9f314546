"""Programs that get a message, from a forwarding table or a .forward file."""

from __future__ import annotations

import os

from mta.local.delivery import HARD, MESSAGE
from mta.queue.submit import feed
from supervise.command import say
from supervise.errors import TEMPORARY, Permanent, Temporary, reason
from supervise.fd import chunks
from supervise.program import execute, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.command import Argv

LINES = b"UFLINE", b"RPLINE", b"DTLINE"  # variables with the lines that a mailbox would have in front of the message


def lines() -> bytes:
    """The lines `From `, Return-Path and Delivered-To, as far as the environment has them."""
    return b"".join(os.environb.get(name, b"") for name in LINES)


class Crashed(Temporary):
    """A program was ended by a signal."""


def run(program: bytes, head: bytes, shell: bytes, name: bytes) -> None:
    """Run *program* by the *shell* with the message on descriptor 0, and wait for it; then rewind the message.

    Args:
        head: what the program gets in front of the message.
        name: who complains when there is no shell.

    Raises:
        Temporary, Permanent: the program says so, in words of its own; or it cannot be run.
    """
    source, feeding = os.pipe() if head else (MESSAGE, -1)
    try:
        pid = spawn(lambda: become([shell, b"-c", program], name), {MESSAGE: source})
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None
    if head:
        os.close(source)
        pour(head, feeding)
    _, status = os.waitpid(pid, 0)
    if not os.WIFEXITED(status):
        raise Crashed(b"child crashed")
    code = os.WEXITSTATUS(status)
    if code:
        raise Permanent if code in HARD else Temporary
    try:
        os.lseek(MESSAGE, 0, os.SEEK_SET)
    except OSError as error:
        raise Temporary(b"unable to rewind input", error) from None


def pour(head: bytes, pipe: int) -> None:
    """Write *head* and the message into *pipe*, as far as anybody reads it; then close it."""
    try:
        taken = feed(pipe, head)
        for data in chunks(MESSAGE):
            taken = taken and feed(pipe, data)
            if not taken:
                break
    except OSError as error:
        raise Temporary(b"unable to read message", error) from None
    finally:
        os.close(pipe)


def become(argv: Argv, name: bytes) -> int:
    """In the child: be the shell; the exit code when there is none."""
    try:
        execute(argv)
    except OSError as error:
        say(b"%s: fatal: unable to run %s: %s" % (name, argv[0], reason(error)))
    return TEMPORARY
