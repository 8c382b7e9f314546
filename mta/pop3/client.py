"""A POP3 client on descriptors 0 and 1 (RFC 1939): its commands, and replies to them."""

from __future__ import annotations

from supervise.fd import Closed, Reader, TimedOut, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT_IN, CLIENT_OUT = 0, 1
PATIENCE = 1200  # seconds
LONGEST_LINE = 65536  # bytes of a command that we keep
NO_MEMORY = b"out of memory"


class Client:
    """Who talks to us.

    Its methods raise `Closed` when the client is gone, and `TimedOut` when it has said nothing, or heard nothing,
    for PATIENCE seconds.
    """

    __slots__ = ("reader", "writer")

    def __init__(self) -> None:
        self.reader, self.writer = Reader(CLIENT_IN, PATIENCE), Writer(CLIENT_OUT, PATIENCE)

    def commands(self) -> Iterator[tuple[bytes, bytes]]:
        """Command after command: its verb in lower case, and its argument."""
        while True:
            line = self._line().removesuffix(b"\n").removesuffix(b"\r")
            verb, _, argument = line.partition(b"\0")[0].partition(b" ")  # as the original: a NUL ends the line
            yield verb.lower(), argument.lstrip(b" ")

    def say(self, text: bytes) -> None:
        """Say *text* as it is."""
        try:
            self.writer.write(text)
        except OSError:
            raise Closed from None

    def okay(self, text: bytes = b"") -> None:
        """Say that all is well."""
        self.say(b"+OK " + text + b"\r\n")

    def error(self, text: bytes) -> None:
        """Say that something is wrong."""
        self.say(b"-ERR " + text + b"\r\n")

    def _line(self) -> bytes:
        """The next line, or as much of it as we keep."""
        try:
            line = last = self.reader.line(LONGEST_LINE)
            while last and not last.endswith(b"\n"):
                last = self.reader.line(LONGEST_LINE)
        except OSError:  # reset by the client
            raise Closed from None
        if not line or not last:
            raise Closed
        return line


def serve(converse: Callable[[Client], None]) -> None:
    """Have the client served, for as long as it is there."""
    client = Client()
    try:
        try:
            converse(client)
        except MemoryError:
            client.error(NO_MEMORY)
    except (Closed, TimedOut):
        pass
