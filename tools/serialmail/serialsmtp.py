"""serialsmtp - send messages over one SMTP connection, one after another

Usage: serialsmtp prefix helohost

serialsmtp speaks SMTP over descriptors 6 and 7, as tcpclient gives them. It reads names of files from descriptor 0,
each with a NUL behind it, and writes a report for each message to descriptor 1 as soon as the server has answered for
it: the name, a NUL, and a line that begins with K (done), Z (not now) or D (never). maildirserial runs it.

A file begins with the lines Return-Path: and Delivered-To: that qmail-local writes; the recipient is what follows
prefix in the latter. A file of another form, or with another prefix, is passed over. The next message begins
only when the server has answered for the last one. If the server announces PIPELINING, the commands of a message go
out together.

A sender that is quoted in Return-Path is quoted once in MAIL FROM; the original quotes the quotes. A line that ends in
CR, in LF or in both goes out with CR LF; the original leaves a CR as it is. A message whose last line has no end
cannot be sent: serialsmtp then gives up without a report.

Exit status:
    0    all files are done; the reports say how
    100  wrong usage
    111  the server is gone, breaks the protocol, or refuses to speak; or a file cannot be read

Environment:
    TCPREMOTEIP  if set, the address that reports name

See also: maildirserial, maildirsmtp, serialqmtp, tcpclient
"""

from __future__ import annotations

import os

from mta.address import quote
from mta.smtp.client import Partial, has_line_end, transparent
from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.program import ignore_broken_pipes
from tools.serialmail.link import Link, report
from tools.serialmail.waiting import Waiting, names, opened, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 81  # seconds for an answer
LONGEST = 1 << 20  # bytes of a line of the server
MOST = 1 << 20  # lines of a reply that are followed by another
VIOLATION = b"protocol violation"
PIPELINING = b"pipelining"
IMPOSSIBLE = b"an address with a line end cannot be sent"


@command(b"serialsmtp", b"prefix helohost")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    prefix, name = argv[1:3]
    ignore_broken_pipes()
    session = Session()
    session.begin(name)
    for file in names():
        fd = opened(file)
        try:
            message = read(fd, prefix)
            if message:
                session.send(file, message)
        except OSError as error:
            raise Temporary(b"unable to read file", error) from None
        finally:
            os.close(fd)
        session.is_first = False
    session.quit()
    return 0


class Session:
    """The conversation with the server.

    Attributes:
        is_first: no file has been looked at yet.
        pipelining: several commands may go out together.

    Its methods raise `Temporary` when it cannot go on.
    """

    def __init__(self) -> None:
        self.link = Link(PATIENCE)
        self.is_first, self.pipelining = True, False

    def begin(self, name: bytes) -> None:
        """Hear the greeting, and greet as *name*."""
        if self.reply()[0] != 220:
            self.quit()
            raise Temporary(b"connected but greeting failed")
        self.link.say(b"EHLO " + name + b"\r\n")
        self.link.flush()
        pipelining, line = False, b""
        for number, line in enumerate(self.answer()):
            pipelining |= number > 0 and line[4:].lower() == PIPELINING
        code = int(line[:3])
        self.pipelining = pipelining and code == 250
        if code != 250 and self.ask(b"HELO " + name)[0] != 250:
            self.quit()
            raise Temporary(b"connected but my name was rejected")

    def quit(self) -> None:
        self.link.say(b"QUIT\r\n")
        self.link.flush()

    def send(self, file: bytes, message: Waiting) -> None:
        """Send *message*, and report what becomes of it."""
        addresses = quote(message.sender), quote(message.recipient)
        if any(map(has_line_end, addresses)):
            report(file, b"D", IMPOSSIBLE)
            return
        commands = [] if self.is_first else [b"RSET"]
        commands += [b"MAIL FROM:<%s>" % addresses[0], b"RCPT TO:<%s>" % addresses[1], b"DATA"]
        refusal = self.together(commands) if self.pipelining else self.one_by_one(commands)
        if refusal:
            self.report(file, *refusal)
            if self.pipelining:
                self.hear_refusals()
            return
        try:
            for piece in transparent(message.pieces()):
                self.link.say(piece)
        except Partial:
            raise Temporary(b"SMTP cannot transfer messages with partial final lines") from None
        self.link.say(b".\r\n")
        self.link.flush()
        self.report(file, *self.reply())

    def one_by_one(self, commands: list[bytes]) -> tuple[int, bytes] | None:
        """Say each of *commands* when the one before is answered; the refusal, if there is one."""
        for each in commands:
            code, line = self.ask(each)
            if code >= 400:
                if each == b"RSET":
                    raise Temporary(VIOLATION)
                return code, line
        return None

    def together(self, commands: list[bytes]) -> tuple[int, bytes] | None:
        """Say all of *commands* at once; the first refusal, if there is one; those after it are still to be heard."""
        self.link.say(b"".join(each + b"\r\n" for each in commands))
        self.link.flush()
        self.unheard = len(commands)
        for each in commands:
            code, line = self.reply()
            self.unheard -= 1
            if code >= 400:
                if each == b"RSET":
                    raise Temporary(VIOLATION)
                return code, line
        return None

    def hear_refusals(self) -> None:
        """What was said behind a command that was refused must be refused, too."""
        while self.unheard:
            self.unheard -= 1
            if self.reply()[0] < 400:
                raise Temporary(VIOLATION)

    def report(self, file: bytes, code: int, line: bytes) -> None:
        report(file, b"D" if code >= 500 else b"Z" if code >= 400 else b"K", line)

    # -- lines ---------------------------------------------------------------------------------
    def ask(self, words: bytes) -> tuple[int, bytes]:
        """Say a command; the reply."""
        self.link.say(words + b"\r\n")
        self.link.flush()
        return self.reply()

    def reply(self) -> tuple[int, bytes]:
        """The next reply: its code, and its last line."""
        last = b""
        for line in self.answer():
            last = line
        return int(last[:3]), last

    def answer(self) -> Iterator[bytes]:
        """The lines of the next reply, one at least, of which nobody need keep all."""
        for _ in range(MOST + 1):
            line = self.link.line(LONGEST)
            if not line.endswith(b"\n"):
                raise Temporary(VIOLATION)
            line = line[:-1].removesuffix(b"\r")
            if not (line[:3].isdigit() and len(line) >= 3):
                raise Temporary(VIOLATION)
            yield line
            if line[3:4] != b"-":
                return
        raise Temporary(VIOLATION)
