"""Stand between an SMTP client and its server, and answer some MAILs in the server's place.

Commands go to the server one by one, each when the one before it has its reply; so every reply is that of a known
command, and what a client says after DATA is a message or commands as the server has answered.  Replies are put
together again as long as the client has said more.  In place of a MAIL that is answered here the server gets RSET, so
that it forgets an earlier sender.

We are a child of the server, which so has a process of its own as if we were not there.  Its ends of two socket pairs
are where it had the client: on descriptors 0 and 1, and where it has the descriptors for TLS (UCSPI-TLS).  Whoever
counts servers does not count us, so when the server is gone, the client has little time to hear the rest.
"""

from __future__ import annotations

import os
import select
import socket
import time

from mta.smtp.data import BareNewline, Body
from mta.smtp.session import LONGEST_LINE, command_in
from mta.smtp.smtpd import tls_descriptors
from supervise.command import Argv, Become
from supervise.errors import Temporary
from supervise.fd import CHUNK, Closed, Reader, TimedOut, write_all
from supervise.program import ignore_broken_pipes, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Answer = Callable[[bytes], bytes]

PATIENCE = 1200  # seconds that a client may take to hear a reply; the server has its own for what it waits for
FAREWELL = 5  # seconds that it has for all that is left to hear when the server is gone
PIECE = 4096  # bytes that a pipe or socket that polls as writable takes without blocking
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
        self.speak(0, 1, SERVER)

    def speak(self, reading: int, writing: int, server: int) -> None:
        """Speak with the client by the descriptors *reading* and *writing*, and with the server by *server*."""
        self.client, self.listener, self.server = reading, Listener(writing, server), Reader(server)
        self.text, self.at = b"", 0  # what the client has said, and how much of it is done
        self.replies: list[bytes] = []  # what it has not been told yet

    def hold(self) -> None:
        """Pass it on to the end."""
        try:
            try:
                self.replies.append(self.reply())
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
        searched = self.at
        while (end := self.text.find(b"\n", searched)) < 0:
            self.text, self.at = self.text[self.at : self.at + LONGEST], 0
            searched = len(self.text)
            self.hear()
        line, self.at = self.text[self.at : end + 1], end + 1
        return line

    def command(self, line: bytes) -> None:
        """Have the command in *line* answered.

        Raises:
            Over: it is the last.
        """
        verb, argument = command_in(line[:-1])
        refusal = self.answer(argument) if verb == b"mail" else b""
        self.tell(b"RSET\r\n" if refusal else line)
        reply = self.reply()
        self.replies.append(refusal or reply)
        if verb == b"data" and reply.startswith(b"354"):
            self.message()
        elif verb == b"starttls" and reply.startswith(b"220") and self.tls:
            self.start_tls()
        elif verb == b"quit" and reply.startswith(b"221"):
            raise Over  # the server leaves, and no look-up is to keep us

    def message(self) -> None:
        """Pass a message on, and have it answered."""
        body = Body()
        while not body.ended:
            if self.at == len(self.text):
                self.hear()
            text, self.text, self.at = self.text[self.at :], b"", 0
            try:
                body.feed(text)
            except BareNewline:  # where the message ends is now a matter of taste
                self.tell(text)
                raise Over from None
            self.text = body.rest
            self.tell(text[: len(text) - len(body.rest)])
        self.replies.append(self.reply())

    def start_tls(self) -> None:
        """Go on with what is said in TLS; nothing that was said before counts."""
        self.flush()
        self.speak(TLS_IN, TLS_OUT, SERVER_TLS)
        self.tls = False

    def hear(self) -> None:
        """Wait for the client to say more; meanwhile pass on what the server says unasked.

        Raises:
            Over: one of them is gone.
        """
        self.replies.append(self.server.take(len(self.server.buffer)))
        self.flush()
        poll = select.poll()
        poll.register(self.client, select.POLLIN)
        poll.register(self.server.fd, select.POLLIN)
        while self.server.fd in [fd for fd, _ in poll.poll()]:
            said = self.heard(self.server.fd)
            if not said:
                raise Over
            self.listener.tell(said)
        text = self.heard(self.client)
        if not text:
            raise Over
        self.text += text

    @staticmethod
    def heard(fd: int) -> bytes:
        """What has come; nothing at the end, also at a bad one."""
        try:
            return os.read(fd, CHUNK)
        except OSError:
            return b""

    # -- what the server says --------------------------------------------------------------
    def reply(self) -> bytes:
        """The server's next reply, of one or more lines.

        Raises:
            Over: it is gone; the beginning of a reply is for the client, too.
            Closed: who knows; whatever it may still say answers nothing that the client has said.
        """
        lines: list[bytes] = []
        try:
            while (line := self.server.line(LONGEST_LINE)) is not None:
                lines.append(line)
                if line[3:4] != b"-":
                    return b"".join(lines)
        except OSError:
            self.replies += lines
            self.flush()
            raise Closed from None
        self.replies += lines
        raise Over

    def tell(self, text: bytes) -> None:
        """Pass *text* on to the server.

        Raises:
            Over: it hears no more.
        """
        try:
            write_all(self.server.fd, text)
        except OSError:
            raise Over from None

    # -- the client ------------------------------------------------------------------------
    def flush(self) -> None:
        """Tell the client what it has not been told yet."""
        replies, self.replies = b"".join(self.replies), []
        self.listener.tell(replies)

    def finish(self) -> None:
        """Say no more to the server, and pass on the last that it says."""
        self.replies.append(self.server.take(len(self.server.buffer)))
        self.flush()
        with socket.socket(fileno=os.dup(self.server.fd)) as server:
            try:
                server.shutdown(socket.SHUT_WR)
            except OSError:  # it is gone
                pass
        while said := self.heard(self.server.fd):
            self.listener.tell(said)


class Listener:
    """The client as it listens, on the descriptor *fd*.

    Args:
        server: the socket of the server; when that is gone, all that is still said may take `FAREWELL` seconds.
    """

    def __init__(self, fd: int, server: int) -> None:
        self.fd, self.server = fd, server
        self.deadline: float | None = None  # on the clock `monotonic`, once the server is gone
        self.poll = select.poll()
        self.poll.register(fd, select.POLLOUT)
        self.poll.register(server, 0)  # that it is gone is told all the same

    def tell(self, text: bytes) -> None:
        """Tell it all of *text*.

        Raises:
            TimedOut: it does not listen.
            OSError: it is gone.
        """
        view = memoryview(text)
        while view:
            self.wait()
            view = view[os.write(self.fd, view[:PIECE]) :]

    def wait(self) -> None:
        """Wait until it takes more.

        Raises:
            TimedOut: it does not.
        """
        while (left := PATIENCE if self.deadline is None else self.deadline - time.monotonic()) > 0:
            ready = [fd for fd, _ in self.poll.poll(left * 1000)]
            if self.server not in ready:
                if ready:
                    return
                break
            self.poll.unregister(self.server)
            self.deadline = time.monotonic() + FAREWELL
        raise TimedOut
