"""Ask a server one thing and show people the answer."""

from __future__ import annotations

import os

from supervise.errors import Temporary
from supervise.fd import chunks, write_all
from supervise.program import spawn
from ucspi.client.words import client
from ucspi.filter.carriage import DeleteCr, add_cr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def ask(host: bytes, port: bytes, request: bytes = b"") -> Iterator[bytes]:
    """What the server at *port* of *host* answers, piece by piece, without carriage returns at ends of lines.

    tcpclient connects, and says what is wrong if it cannot.

    Args:
        request: lines to send, without carriage returns.

    Raises:
        Temporary: the machine has no room for another process.
    """
    script = b"cat >&7; exec cat <&6" if request else b"exec cat <&6"
    try:
        answer, writing = os.pipe2(os.O_CLOEXEC)
        sending = os.memfd_create("request", os.MFD_CLOEXEC)  # all of it is there: nobody has to wait with it
        write_all(sending, add_cr(request))
        os.lseek(sending, 0, os.SEEK_SET)
        pid = spawn([*client(host, port), b"sh", b"-c", script], {0: sending, 1: writing})
    except OSError as error:
        raise Temporary(b"unable to run tcpclient", error) from None
    os.close(sending)
    os.close(writing)
    delete = DeleteCr()
    yield from map(delete, chunks(answer))
    yield delete.held
    os.waitpid(pid, 0)


def visible(byte: int) -> bytes:
    """One byte so that no terminal takes it for a command: `^A`, `M-a`, `M-^A`; tab and line feed are what they are."""
    if byte >= 128:
        return b"M-" + (visible(byte - 128) if byte - 128 not in b"\t\n" else b"^%c" % (byte - 128 + 64))
    if byte in b"\t\n" or 32 <= byte < 127:
        return b"%c" % byte
    return b"^%c" % (byte ^ 64)


VISIBLE = tuple(visible(byte) for byte in range(256))


def show(pieces: Iterator[bytes]) -> int:
    """Print *pieces* for people; an exit code."""
    for piece in pieces:
        write_all(1, b"".join([VISIBLE[byte] for byte in piece]))
    return 0
