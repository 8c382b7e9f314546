"""qmail-qmqpc - have a message queued by another host

Usage: qmail-qmqpc < message 1< envelope

qmail-qmqpc is qmail-queue for a machine without a queue, a null client.  It reads a message
from descriptor 0 and its envelope from descriptor 1 and gives them by QMQP to the first server
that it can reach.  When it exits 0, that server has the message in its queue and is answerable
for it; else the message is not accepted, or (74) it is not known whether it is.  The home of a
null client is not made by qmail-setup: it has control, and a folder bin whose qmail-queue is a link:

    mkdir -p /var/qmail/bin /var/qmail/control
    ln -s "$(command -v qmail-qmqpc)" /var/qmail/bin/qmail-queue
    echo mail.example.org >/var/qmail/control/me    # whose mail it is; idhost is this machine's name
    echo 192.0.2.1 >/var/qmail/control/qmqpservers

It connects to port 628, or to another one that is named, as in 192.0.2.1:1628 and
[2001:db8::1]:1628.  A server that does not let itself be connected to within 10 seconds is
followed by the next one.  Once there is a connection there is no other server: what that one
says counts.

QMQP has the length of everything in front of it.  So a message is read whole before a server
hears of it: a small one stays in memory, one of more than a megabyte goes to a file without a
name in TMPDIR.

Exit status:
    0    the server has it
    11   an address has more than a million bytes
    31   the server will never take it
    51   out of memory
    53   the disk is full, or a write to the file in TMPDIR failed
    54   the message or the envelope cannot be read
    55   there is no control/qmqpservers, or no address in it
    56   no socket can be made
    61   trouble with the home
    71   the server does not take it now
    72   the last server did not answer when we connected
    73   no connection to the last server could be made
    74   the connection broke, or the server was silent for 60 seconds
    91   the envelope is malformed

Environment:
    QMAILHOME    the home, by default /var/qmail
    TMPDIR       where large messages wait, by default /tmp

Files:
    control/qmqpservers    IP addresses of servers, one to a line, in the order in which they are
                           tried; what begins with no address is passed over

See also: qmail-qmqpd, qmail-queue
"""

from __future__ import annotations

import os
import signal
import socket

from mta.control import lines
from mta.home import home
from mta.qmtp.netstrings import netstring
from mta.qmtp.spool import Spool
from mta.queue import codes
from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import CHUNK, chunks
from supervise.program import ignore_broken_pipes
from ucspi import ip
from ucspi.connect import limit, reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE, ENVELOPE = 0, 1
NEVER, CONTROL, SOCKET, NOT_NOW, SILENT, UNREACHABLE, BROKEN = 31, 55, 56, 71, 72, 73, 74
ANSWERS = {ord("K"): codes.OK, ord("Z"): NOT_NOW, ord("D"): NEVER}
PORT = 628
CONNECTING, ANSWERING = 10, 60  # seconds
LONGEST_ADDRESS = 1_000_000  # bytes; no server takes a thousand


class Failure(Exception):
    """We cannot go on; *code* is what to exit with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@command(b"qmail-qmqpc")
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a caller's limit is a full disk
    try:
        return send()
    except Failure as failure:
        return failure.code
    except MemoryError:
        return codes.MEMORY


def send() -> int:
    """Read the message and give it to a server; the exit code."""
    servers = known_servers()
    package = Package()
    code = CONTROL
    for server in servers:
        place = place_of(server)
        if place is None:
            continue
        try:
            wire = connected(*place)
        except TimeoutError:
            code = SILENT
        except OSError:
            code = UNREACHABLE
        else:
            with wire:
                return ask(wire, package)
    return code


def known_servers() -> list[bytes]:
    """The lines of control/qmqpservers.

    Raises:
        Failure: there are none.
    """
    if not os.path.isdir(home()):
        raise Failure(codes.HOME)
    try:
        servers = lines(b"qmqpservers")
    except Temporary:
        raise Failure(CONTROL) from None
    if servers is None:
        raise Failure(CONTROL)
    return servers


def place_of(server: bytes) -> tuple[str, int] | None:
    """The address and the port in a line of control/qmqpservers; None when it begins with no address."""
    if server.startswith(b"["):
        text, _, rest = server[1:].partition(b"]")
        address = ip.parse(text)
    elif (address := ip.parse(server)) is not None:
        rest = b""
    else:  # as the original: an IPv4 address may have anything behind it
        size = len(server) - len(server.lstrip(b"0123456789."))
        address, rest = ip.parse(server[:size]), server[size:]
    port = rest[1:].isdigit() and rest.startswith(b":") and ip.port_number(rest[1:])
    return None if address is None else (address, port or PORT)


def connected(address: str, port: int) -> socket.socket:
    """A connection to a server, which keeps the limit for answers.

    Raises:
        Failure: there is no socket to be had.
        TimeoutError: the server does not answer.
        OSError: somebody or something refused.
    """
    try:
        wire = socket.socket(ip.family(address), socket.SOCK_STREAM)
    except OSError:
        raise Failure(SOCKET) from None
    try:
        limit(wire, CONNECTING)
        reach(wire, (address, port))
        limit(wire, ANSWERING)
    except BaseException:
        wire.close()
        raise
    return wire


def ask(wire: socket.socket, package: Package) -> int:
    """Give *package* to a server; the exit code that its answer means."""
    waiting = bytearray()  # what would be a small packet alone
    try:
        for piece in package.pieces():
            waiting += piece
            if len(waiting) >= CHUNK:
                wire.sendall(waiting)
                waiting.clear()
        wire.sendall(waiting)
        while answer := wire.recv(CHUNK):
            for byte in answer:  # as the original: the first of these letters counts, wherever it is
                if byte in ANSWERS:
                    return ANSWERS[byte]
    except OSError:
        pass
    return BROKEN


class Package:
    """The message with its envelope, as QMQP has them: read whole from descriptors 0 and 1.

    Raises:
        Failure: they cannot be read, or the envelope is none.
    """

    def __init__(self) -> None:
        self.message, self.envelope = Spool(), Spool()
        try:
            for data in given(MESSAGE):
                self.message.write(data)
            for address in addresses():
                self.envelope.write(netstring(address))
        except OSError:
            raise Failure(codes.WRITE) from None

    def pieces(self) -> Iterator[bytes]:
        """All of it, as a server wants it."""
        length = b"%d:" % self.message.size
        yield b"%d:%s" % (len(length) + self.message.size + len(b",") + self.envelope.size, length)
        yield from self.message.pieces()
        yield b","
        yield from self.envelope.pieces()
        yield b","


def addresses() -> Iterator[bytes]:
    """The sender and then the recipients, without their letters.

    Raises:
        Failure: that is no envelope.
    """
    letter, rest = b"F", b""
    for data in given(ENVELOPE):
        *records, rest = (rest + data).split(b"\0")
        for record in records:
            if letter == b"T" and not record:
                return
            if record[:1] != letter:
                raise Failure(codes.ENVELOPE)
            yield record[1:]
            letter = b"T"
        if len(rest) > LONGEST_ADDRESS:
            raise Failure(codes.TOO_LONG)
    raise Failure(codes.ENVELOPE)


def given(fd: int) -> Iterator[bytes]:
    """What *fd* has.

    Raises:
        Failure: it cannot be read.
    """
    try:
        yield from chunks(fd)
    except OSError:
        raise Failure(codes.READ) from None
