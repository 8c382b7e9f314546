"""serialqmtp - send messages over one QMTP connection

Usage: serialqmtp prefix

serialqmtp is serialsmtp for servers that speak QMTP. It does not wait for an answer before it sends the next message,
so a link with a long delay is used well; but it waits while 20 messages are without one. When a link drops, those
arrive twice, and no others: the original sends all of them ahead, and again when the link is back. A sender that is
quoted in Return-Path goes out without the quotes.

Exit status:
    0    all files are done; the reports say how
    100  wrong usage
    111  the server is gone, or breaks the protocol; or a file cannot be read

Environment:
    TCPREMOTEIP  if set, the address that reports name

See also: maildirserial, maildirqmtp, serialsmtp, qmail-qmtpd
"""

from __future__ import annotations

import fcntl
import os
import signal

from mta.qmtp.netstrings import netstring
from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.fd import CHUNK, write_all
from supervise.program import ignore_broken_pipes, spawn
from tools.serialmail.link import LONGEST, OUTGOING, REPORTS, Link, report
from tools.serialmail.waiting import names, opened, read

PATIENCE = 3600  # seconds for an answer
LARGEST = 200_000_000  # bytes of an answer
WINDOW = 20  # messages that are sent before the first of them is answered
TURNS = 3  # where the child gets a byte for each message that it may send
VIOLATION = b"remote protocol violation"


@command(b"serialqmtp", b"prefix")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    ignore_broken_pipes()
    try:
        sent, sending, turns, turn = map(apart, (*os.pipe(), *os.pipe()))
        os.write(turn, bytes(WINDOW))
        pid = spawn(lambda: sender([b"serialqmtp", argv[1]]), {0: 0, 1: sending, TURNS: turns, OUTGOING: OUTGOING})
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None
    os.close(sending)  # but not turns: who writes the last bytes to turn finds a reader
    os.dup2(sent, 0)
    link = Link(PATIENCE)
    try:
        for name in names():
            report(name, *answer(link))  # at once: a link that drops behind the text must not send the message twice
            if link.take(1) != b",":
                raise Temporary(VIOLATION)
            os.write(turn, b"\0")
    except Temporary:
        os.kill(pid, signal.SIGKILL)  # what goes wrong is said once
        raise
    _, status = os.waitpid(pid, 0)
    if not os.WIFEXITED(status):
        raise Temporary(b"child crashed")
    return os.WEXITSTATUS(status)


def apart(fd: int) -> int:
    """*fd*, moved to where no descriptor of the link is taken for it if that is not open."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, OUTGOING + 1)
    os.close(fd)
    return moved


@command(b"serialqmtp")
def sender(argv: Argv) -> int:
    """In the child: send the files whose names are on descriptor 0, each in its turn, its name to 1 before that."""
    link = Link(PATIENCE)
    ignore_broken_pipes()
    for name in names():
        fd = opened(name)
        try:
            message = read(fd, argv[1])
            if message is None:
                continue
            size = message.size()
            if not os.read(TURNS, 1):
                return 0  # nobody awaits an answer any more
            write_all(REPORTS, name + b"\0")  # before the network may block, or both sides could wait for ever
            link.say(b"%d:\n" % (size + 1))
            for piece in message.pieces():
                link.say(piece[:size])
                size -= len(piece[:size])
            if size:
                raise Temporary(b"unable to read file: it has become shorter")
            link.say(b"," + netstring(message.sender) + netstring(netstring(message.recipient)))
            link.flush()
        except OSError as error:
            raise Temporary(b"unable to read file", error) from None
        finally:
            os.close(fd)
    return 0


def answer(link: Link) -> tuple[bytes, bytes]:
    """The next answer but for its comma: its letter, and as much of its text as a report has.

    Raises:
        Temporary: there is none.
    """
    digits = b""
    while (byte := link.take(1)) != b":":
        if not byte.isdigit() or len(digits) > 9:
            raise Temporary(VIOLATION)
        digits += byte
    size = int(digits or b"0")
    if not 0 < size <= LARGEST:
        raise Temporary(VIOLATION)
    letter = link.take(1)
    if letter not in b"KZD":
        raise Temporary(VIOLATION)
    text, left = b"", size - 1
    while left:
        piece = link.take(min(left, CHUNK))
        left -= len(piece)
        text += piece[: LONGEST - len(text)]
    return letter, text
