"""Stand between an SMTP client and its server, and answer some MAILs in the server's place.

Commands go to the server one by one, each when the one before it has its reply; so every reply is that of a known
command, and what a client says after DATA is a message or commands as the server has answered.  Replies are put
together again as long as the client has said more.  In place of a MAIL that is answered here the server gets RSET, so
that it forgets an earlier sender.

We are a child of the server, which so has a process of its own as if we were not there.  Its ends of two socket pairs
are where it had the client: on descriptors 0 and 1, and where it has the descriptors for TLS (UCSPI-TLS).
"""

from __future__ import annotations

import os
import select
import socket

from mta.smtp.data import BareNewline, Body
from mta.smtp.session import LONGEST_LINE
from mta.smtp.smtpd import tls_descriptors
from supervise.command import Argv, Become
from supervise.errors import Temporary
from supervise.fd import CHUNK, Closed, Reader, TimedOut, Writer
from supervise.program import ignore_broken_pipes, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Answer = Callable[[bytes], bytes]

PATIENCE = 1200  # seconds that a client may take to hear a reply; the server has its own for what it waits for
LONGEST = 3 * LONGEST_LINE  # bytes of a command that we keep; the server finds it too long itself
SERVER, SERVER_TLS, TLS_IN, TLS_OUT = 3, 4, 5, 6  # our descriptors


class Over(Exception):
    """There is no more to pass on."""


def run_between(program: Argv, answer: Answer) -> NoReturn:
    """Run *program*, an SMTP server, and be its child that stands between it and the client.

    Args:
        answer: called in the child with what follows `MAIL `; the reply, or nothing: the server is to answer.

    Raises:
        Become: always; the program runs in our process.
        Temporary: no sockets or no process can be made.
    """
    tls = tls_descriptors()
    try:
        pairs = [socket.socketpair() for _ in range(2 if tls else 1)]
    except OSError as error:
        raise Temporary(b"unable to create sockets", error) from None
    fds = {SERVER: pairs[0][0].fileno()}
    if tls:
        fds |= {SERVER_TLS: pairs[1][0].fileno(), TLS_IN: tls[1], TLS_OUT: tls[2]}

    def work() -> int:
        ignore_broken_pipes()
        Conversation(answer, tls=bool(tls)).hold()
        return 0

    try:
        spawn(work, fds)
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None
    for (ours, its), places in zip(pairs, ((0, 1), tls[1:] if tls else ()), strict=False):
        for fd in places:
            os.dup2(its.fileno(), fd)
        ours.close()
        its.close()
    raise Become(program)


class Conversation:
    """What client and server say to each other, from the greeting to the end.

    Args:
        answer: as for `run_between`.
        tls: whether the server may start it.
    """

    def __init__(self, answer: Answer, tls: bool) -> None:
        self.answer, self.tls = answer, tls
        self.client, self.writer, self.server = Reader(0), Writer(1, PATIENCE), Reader(SERVER)
        self.replies = b""  # what the client has not been told yet

    def hold(self) -> None:
        """Pass it on to the end."""
        try:
            try:
                self.replies = self.reply()
                while True:
                    self.command(self.line())
            except Over:
                self.finish()
        except (Closed, TimedOut, OSError):  # the client does not listen
            pass

    # -- what the client says --------------------------------------------------------------
    def line(self) -> bytes:
        """The next command, with its line end; of one that is too long, no more than `LONGEST` and a piece.

        Raises:
            Over: there is none.
        """
        while (end := self.client.buffer.find(b"\n")) < 0:
            self.client.buffer = self.client.buffer[:LONGEST]
            self.hear()
        return self.client.take(end + 1)

    def command(self, line: bytes) -> None:
        """Have the command in *line* answered."""
        verb, _, argument = line.rstrip(b"\r\n").partition(b"\0")[0].partition(b" ")
        verb = verb.lower()
        refusal = self.answer(argument) if verb == b"mail" else b""
        self.tell(b"RSET\r\n" if refusal else line)
        reply = self.reply()
        self.replies += refusal or reply
        if verb == b"data" and reply.startswith(b"354"):
            self.message()
        elif verb == b"starttls" and reply.startswith(b"220") and self.tls:
            self.start_tls()

    def message(self) -> None:
        """Pass a message on, and have it answered."""
        body = Body()
        while not body.ended:
            if not self.client.buffer:
                self.hear()
            text, self.client.buffer = self.client.buffer, b""
            try:
                body.feed(text)
            except BareNewline:  # where the message ends is now a matter of taste
                self.tell(text)
                raise Over from None
            self.client.buffer = body.rest
            self.tell(text[: len(text) - len(body.rest)])
        self.replies += self.reply()

    def start_tls(self) -> None:
        """Go on with what is said in TLS; nothing that was said before counts."""
        self.flush()
        self.client, self.writer, self.server = Reader(TLS_IN), Writer(TLS_OUT, PATIENCE), Reader(SERVER_TLS)
        self.tls = False

    def hear(self) -> None:
        """Wait for the client to say more; meanwhile pass on what the server says unasked.

        Raises:
            Over: one of them is gone.
        """
        self.replies += self.server.take(len(self.server.buffer))
        self.flush()
        poll = select.poll()
        poll.register(self.client.fd, select.POLLIN)
        poll.register(self.server.fd, select.POLLIN)
        while self.server.fd in [fd for fd, _ in poll.poll()]:
            said = self.heard(self.server)
            if not said:
                raise Over
            self.writer.write(said)
        text = self.heard(self.client)
        if not text:
            raise Over
        self.client.buffer += text

    @staticmethod
    def heard(reader: Reader) -> bytes:
        """What has come; nothing at the end, also at a bad one."""
        try:
            return os.read(reader.fd, CHUNK)
        except OSError:
            return b""

    # -- what the server says --------------------------------------------------------------
    def reply(self) -> bytes:
        """The server's next reply, of one or more lines.

        Raises:
            Over: it is gone.
            Closed: who knows; whatever it may still say answers nothing that the client has said.
        """
        reply = b""
        while True:
            try:
                line = self.server.line(LONGEST_LINE)
            except OSError:
                self.flush()
                raise Closed from None
            if line is None:
                raise Over
            reply += line
            if line[3:4] != b"-":
                return reply

    def tell(self, text: bytes) -> None:
        """Pass *text* on to the server.

        Raises:
            Over: it hears no more.
        """
        try:
            Writer(self.server.fd).write(text)
        except (Closed, OSError):
            raise Over from None

    # -- the client ------------------------------------------------------------------------
    def flush(self) -> None:
        """Tell the client what it has not been told yet."""
        replies, self.replies = self.replies, b""
        if replies:
            self.writer.write(replies)

    def finish(self) -> None:
        """Say no more to the server, and pass on the last that it says."""
        self.replies += self.server.take(len(self.server.buffer))
        self.flush()
        with socket.socket(fileno=os.dup(self.server.fd)) as server:
            try:
                server.shutdown(socket.SHUT_WR)
            except OSError:  # it is gone
                pass
        while said := self.heard(self.server):
            self.writer.write(said)
