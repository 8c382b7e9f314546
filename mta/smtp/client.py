"""The client's side of SMTP (RFC 5321): one message to one host.

`Conversation` knows what to say and does no I/O: replies go in, commands come out.
`converse` moves the bytes between it and a `Connection`.

On the wire a line ends in CR LF and nothing else holds a CR or an LF: not a command, because
addresses that would bring one are refused here, and not the message, in which a lone CR and
a lone LF each end a line (`transparent`).  So no message can say to the other side what is ours to say.
"""

from __future__ import annotations

import socket

from supervise.fd import CHUNK, Closed, Reader
from ucspi.connect import limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from types import TracebackType

# What a reply answers, and so how far a conversation came.
GREETING, HELO, SENDER, RECIPIENTS, DATA, MESSAGE = b"greeting", b"HELO", b"MAIL", b"RCPT", b"DATA", b"message"

KEPT = 5000  # bytes of a reply's text, as the original
LONGEST = 1 << 20  # bytes of a reply; more is no reply


class Reply:
    """What the server said: *code* as a number, *text* with LF for line ends, cut off at `KEPT` bytes."""

    __slots__ = ("code", "text")

    def __init__(self, code: int, text: bytes) -> None:
        self.code, self.text = code, text


REFUSED_HERE = Reply(553, b"")  # the answer to a recipient that we do not even say


class Partial(Exception):
    """The message's last line lacks its end, and SMTP has no way to say so."""


class Conversation:
    """One message from *sender* to *recipients*, all three names as the wire has them.

    Attributes:
        answers: the replies to the recipients, as far as we got.
        critical: the message is over and its reply is not here: it may or may not be accepted.
    """

    def __init__(self, name: bytes, sender: bytes, recipients: list[bytes]) -> None:
        self.name, self.sender, self.recipients = name, sender, recipients
        self.answers: list[Reply] = []
        self.critical = False

    def steps(self) -> Generator[bytes, Reply, tuple[bytes, Reply]]:
        """Yield a command, be sent the reply, and so on; `MESSAGE` stands for the message itself.

        The first thing yielded is empty: the server begins.

        Returns:
            How far it came, and the reply that decided: with `MESSAGE` and a code below 400 the message is accepted.
        """
        reply = yield b""
        if reply.code != 220:
            return GREETING, reply
        reply = yield b"HELO " + self.name + b"\r\n"
        if reply.code != 250:
            return HELO, reply
        reply = yield b"MAIL FROM:<" + self.sender + b">\r\n"
        if reply.code >= 400:
            return SENDER, reply
        for recipient in self.recipients:
            refused = has_line_end(recipient)
            self.answers.append(REFUSED_HERE if refused else (yield b"RCPT TO:<" + recipient + b">\r\n"))
        if all(answer.code >= 400 for answer in self.answers):
            return RECIPIENTS, self.answers[-1]
        reply = yield b"DATA\r\n"
        if reply.code >= 400:
            return DATA, reply
        reply = yield MESSAGE
        return MESSAGE, reply


class Connection:
    """A connected socket with the *timeout* (seconds) of one read or write."""

    def __init__(self, wire: socket.socket, timeout: int) -> None:
        limit(wire, timeout)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = wire
        self.reader = Reader(wire.fileno())

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.close()

    def send(self, data: bytes) -> None:
        """Send all of *data*.

        Raises:
            Closed: the other side is gone, or took nothing for too long.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[self.wire.send(view, socket.MSG_NOSIGNAL) :]
        except OSError:
            raise Closed from None

    def reply(self) -> Reply:
        """The next reply.

        Raises:
            Closed: the other side is gone, said nothing for too long, or does not stop.
        """
        try:
            return read_reply(self.reader)
        except OSError:
            raise Closed from None


def converse(connection: Connection, conversation: Conversation, message: Iterable[bytes]) -> tuple[bytes, Reply]:
    """Hold *conversation* over *connection*; *message* comes in pieces as it lies on the disk.

    Returns:
        As `Conversation.steps`.

    Raises:
        Closed: the other side is gone.
        Partial: the message cannot be sent whole; the server did not get its end.
    """
    steps = conversation.steps()
    command = next(steps)
    while True:
        if command is MESSAGE:
            waiting = b""  # one piece is held back until the next one has come
            for piece in transparent(message):
                connection.send(waiting)
                waiting = piece
            conversation.critical = True
            command = waiting + b".\r\n"
        connection.send(command)
        try:
            command = steps.send(connection.reply())
        except StopIteration as end:
            conversation.critical = False
            return end.value  # type: ignore[no-any-return]  # a generator's value has no type here


def transparent(message: Iterable[bytes]) -> Iterator[bytes]:
    """*message* as DATA carries it, without the end mark (RFC 5321, section 4.5.2).

    Lines end in LF, CR LF or CR; on the wire they all end in CR LF, and a dot that begins a
    line is doubled.

    Raises:
        Partial: the last line has no end.
    """
    held = b""  # a CR that may be half of a line end
    fresh = True  # we are at the beginning of a line
    for piece in message:
        data = held + piece if held else piece
        held = b"\r" if data.endswith(b"\r") else b""
        if b"\r" in data:
            data = data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if data:
            dot = b"." if fresh and data.startswith(b".") else b""
            fresh = data.endswith(b"\n")
            yield dot + data.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
    if held:
        yield b"\r\n"
    elif not fresh:
        raise Partial


def read_reply(reader: Reader) -> Reply:
    """The next reply that *reader* has; the code of its first line counts.

    Raises:
        Closed: the input ended before the reply did, or the reply does not end.
    """
    code, text, size = None, b"", 0
    more = True
    while more:
        head = line = reader.take(4)
        if len(head) < 4:
            raise Closed
        more = head.endswith(b"-")
        if code is None:
            code = code_of(head)
        while True:
            size += len(line)
            if len(text) < KEPT:
                text += line.replace(b"\r", b"").replace(b"\0", b"?")
            if line.endswith(b"\n"):
                break
            line = reader.line(CHUNK) or b""
            if not line or size > LONGEST:
                raise Closed
    return Reply(code or 0, text[:KEPT])


def code_of(head: bytes) -> int:
    """The code that begins a reply.

    As the original: what is no digit counts as one, far up or down in the table of characters; down is worst.
    """
    code = (head[0] * 10 + head[1]) * 10 + head[2] - 111 * ord("0")
    return code if code >= 0 else 999


def has_line_end(address: bytes) -> bool:
    """Whether *address* would break a command in two."""
    return b"\r" in address or b"\n" in address
