"""A connection to a daemon that has so many seconds for all it does, and is believed so many bytes."""

from __future__ import annotations

import os
import socket
import time

from supervise.errors import reason
from supervise.fd import CHUNK
from tools.scanner.finding import Failed
from ucspi import ip
from ucspi.connect import limit, reach
from ucspi.unix.address import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

LONGEST_HEAD = 16 << 10  # bytes of a line or a header
LONGEST_BODY = 1 << 20


class Wire:
    """The connection; use it in a with statement.

    Args:
        place: a path, or IP:PORT, or [IP]:PORT.
        seconds: for everything, from now on.

    Raises:
        Failed: by all that is done with it; nobody is there, or time is over, or the other side is gone.
    """

    def __init__(self, place: bytes, seconds: int) -> None:
        self.deadline = time.monotonic() + seconds
        self.buffer = b""
        try:
            self.socket = self.connected(place)
        except OSError as error:
            raise failure(error) from None

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def connected(self, place: bytes) -> socket.socket:
        """A socket that is connected to *place*."""
        if place.startswith(b"/"):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            host, port = tcp_place(place)
            connection = socket.socket(ip.family(host), socket.SOCK_STREAM)
        try:
            limit(connection, self.left())
            if place.startswith(b"/"):
                try:
                    connection.connect(address(place))
                except BlockingIOError:  # its queue of callers is full
                    raise TimeoutError(0, "timed out") from None
            else:
                reach(connection, (host, port))
        except BaseException:
            connection.close()
            raise
        return connection

    def left(self) -> int:
        """The seconds that are left, at least one."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Failed(b"timed out")
        return int(left) + 1

    def send(self, data: bytes) -> bool:
        """Send all of *data*; False when the other side takes no more, whose reason may be there to be read."""
        view = memoryview(data)
        while view:
            limit(self.socket, self.left())
            try:
                view = view[self.socket.send(view, socket.MSG_NOSIGNAL) :]
            except (BrokenPipeError, ConnectionResetError):
                return False
            except OSError as error:
                raise failure(error) from None
        return True

    def finish(self) -> None:
        """Say that this was all."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone, which reading will tell
            pass

    def fill(self) -> None:
        """Read once more."""
        limit(self.socket, self.left())
        try:
            data = self.socket.recv(CHUNK)
        except OSError as error:
            raise failure(error) from None
        if not data:
            raise Failed(b"closed the connection early")
        self.buffer += data

    def until(self, end: bytes) -> bytes:
        """What comes in front of *end*."""
        while (at := self.buffer.find(end)) < 0:
            if len(self.buffer) > LONGEST_HEAD:
                raise Failed(b"does not stop talking")
            self.fill()
        found, self.buffer = self.buffer[:at], self.buffer[at + len(end) :]
        return found

    def reply(self) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """A reply as HTTP has it: its first line, its fields by their names in small letters, its body."""
        status, *lines = self.until(b"\r\n\r\n").split(b"\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = fields.get(b"content-length", b"")
        if not length.isdigit() or len(length) > 9 or int(length) > LONGEST_BODY:
            raise Failed(b"says not how long its answer is: " + status)
        while len(self.buffer) < int(length):
            self.fill()
        return status, fields, self.buffer[: int(length)]


def tcp_place(text: bytes) -> tuple[str, int]:
    """The address and the port that *text* names.

    Raises:
        ValueError: it names none.
    """
    host, _, port = text.rpartition(b":")
    parsed = ip.parse(host.removeprefix(b"[").removesuffix(b"]"))
    if parsed is None or not port.isdigit() or not (number := ip.port_number(port)):
        raise ValueError
    return parsed, number


def failure(error: OSError) -> Failed:
    """*error* in words."""
    return Failed(b"timed out" if isinstance(error, BlockingIOError | TimeoutError) else reason(error))


def pieces(message: int, start: int) -> Iterator[bytes]:
    """The file *message* from *start* on, whatever its position."""
    while data := os.pread(message, CHUNK, start):
        start += len(data)
        yield data
