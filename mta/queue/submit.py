"""How every program of ours puts a message into the queue.

    submission = Submission()
    submission.write(b"Subject: hello\\n\\n")
    verdict = submission.send(b"joe@irs.gov", [b"bill@heaven.af.mil"])

A small message is kept in memory and handed over when it is complete, so somebody who
sends it slowly keeps nobody else busy; one of more than KEPT bytes streams.

Who takes the message:

* the program that QMAILQUEUE names, if it is set;
* a bin/qmail-queue in the home that is not ours;
* the submission server, if it listens;
* our qmail-queue.

A program gets the message on descriptor 0 and the envelope on 1; what it says on 6 is told
to whoever sent the message when it exits 82.  A QMAILQUEUE without a slash is looked for in
the home, where the program is started.
"""

from __future__ import annotations

import os
import signal

from mta.home import home, program
from mta.queue import codes, envelope, handover
from supervise.errors import Trouble
from supervise.fd import write_all
from supervise.program import execute, find, follow, locate, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket

KEPT = 256 << 10  # bytes of a message that are kept in memory
OWN_TEXT_FD = 6


class Submission:
    """One message on its way to the queue.

    Attributes:
        pid: the process that queued it, for `qp`; 0 until `send`, and when that is not known.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.kept = bytearray()
        self.taker: Taker | None = None
        self.failed = False  # nobody takes it, or not all of it

    def write(self, data: bytes) -> None:
        """Add *data* to the message; trouble shows in `send`."""
        if self.failed:
            return
        self.kept += data
        if len(self.kept) > KEPT:
            self._hand_on()

    def take(self, pieces: Iterable[bytes]) -> None:
        """Add all *pieces*; when they cannot be read to their end, the message is forgotten."""
        try:
            for data in pieces:
                self.write(data)
        except (OSError, Trouble):
            self.abandon()
            raise

    def send(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        """Finish the message, hand over the envelope and wait for the answer.

        Returns:
            b"" when the message is accepted, else what to tell: D (never) or Z (later) and a text.
        """
        self._hand_on()
        if self.taker is None:
            return codes.LATER
        self.taker.end_message()
        for piece in envelope.pieces(sender, recipients):
            self.failed = self.failed or not feed(self.taker.envelope, piece)
        verdict = self.taker.verdict()
        self.pid = self.taker.pid
        return codes.TEXTS[codes.READ] if self.failed and not verdict else verdict

    def abandon(self) -> None:
        """Forget the message: nothing will be queued, because an envelope without its end is refused.

        The program that QMAILQUEUE names is started even so: it hears of every message that began.
        """
        self.kept.clear()
        if b"QMAILQUEUE" in os.environb:
            self._hand_on()
        self.failed = True
        if self.taker is not None:
            self.taker.end_message()
            self.taker.verdict()

    def _hand_on(self) -> None:
        """Pass on what is kept."""
        if self.taker is None and not self.failed:
            try:
                self.taker = taker()
            except OSError:
                self.failed = True
        if self.taker is not None and not self.failed:
            self.failed = not feed(self.taker.message, self.kept)
        self.kept.clear()


def taker() -> Taker:
    """Who takes a message here and now.

    Raises:
        OSError: we have no descriptor or process to spare.
    """
    chosen = os.environb.get(b"QMAILQUEUE")
    if chosen is not None:
        return Program(chosen, path=None if b"/" in chosen else b".")
    usual = program(b"qmail-queue")
    ours = b"/" not in usual or locate(usual) is not None
    connection = handover.connect() if ours else None
    return Program(usual) if connection is None else Server(connection)


class Taker:
    """Something that reads a message and an envelope from two pipes.

    Attributes:
        message, envelope: the pipes' writing ends.
        pid: who queues the message.
    """

    def __init__(self) -> None:
        self.pid = 0
        message, self.message = os.pipe()
        try:
            envelope, self.envelope = os.pipe()
        except OSError:
            os.close(message)
            os.close(self.message)
            raise
        try:
            self.start(message, envelope)
        except BaseException:
            os.close(self.message)
            os.close(self.envelope)
            raise
        finally:
            os.close(message)
            os.close(envelope)

    def start(self, message: int, envelope: int) -> None:
        """Let it read from these two."""
        raise NotImplementedError

    def end_message(self) -> None:
        """Say that this was all of the message."""
        os.close(self.message)

    def verdict(self) -> bytes:
        """Say that this was all of the envelope, and wait for the answer."""
        os.close(self.envelope)
        return self.wait()

    def wait(self) -> bytes:
        """The answer: b"" or a text with its letter."""
        raise NotImplementedError


class Server(Taker):
    """The submission server."""

    def __init__(self, connection: socket) -> None:
        self.connection = connection
        super().__init__()

    def start(self, message: int, envelope: int) -> None:
        handover.hand_over(self.connection, message, envelope)

    def wait(self) -> bytes:
        with self.connection:
            answer = handover.answer(self.connection)
        if answer is None:
            return codes.CRASHED
        code, self.pid = answer
        return codes.verdict(code)


class Program(Taker):
    """A program with qmail-queue's interface."""

    def __init__(self, name: bytes, path: bytes | None = None) -> None:
        self.name, self.path = name, path
        super().__init__()

    def start(self, message: int, envelope: int) -> None:
        self.own_text, own_text = os.pipe()
        try:
            self.pid = spawn(self.become, {0: message, 1: envelope, OWN_TEXT_FD: own_text})
        except OSError:
            os.close(self.own_text)
            raise
        finally:
            os.close(own_text)

    def become(self) -> int:
        """In the child: be the program."""
        try:
            os.chdir(home())
        except OSError:
            return codes.HOME
        command = find(self.name, self.path)
        if command is not None:
            return follow(command, [self.name])
        try:
            execute([self.name], self.path)
        except OSError:
            return codes.EXEC

    def wait(self) -> bytes:
        own = b""
        while len(own) < codes.OWN_TEXT_SIZE and (data := os.read(self.own_text, codes.OWN_TEXT_SIZE - len(own))):
            own += data
        os.close(self.own_text)
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            return b"Zqq waitpid surprise (#4.3.0)"
        if os.WIFSIGNALED(status):
            return codes.CRASHED
        return codes.verdict(os.WEXITSTATUS(status), own)


def feed(fd: int, data: bytes | bytearray) -> bool:
    """Write *data* to a pipe; False when nobody reads it any more."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        write_all(fd, memoryview(data))
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGPIPE, before)
    return True
