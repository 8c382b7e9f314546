"""http@ - print a page of a web server

Usage: http@ [host [page [port]]]

http@ asks the web server at port (default 80) of host (default 0, this machine) for /page by HTTP/1.0 and
prints the body of the answer: lines without carriage returns at their ends, and without blank ones.

Exit status:
    0    always; tcpclient says what is wrong if there is no answer

See also: tcpclient
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.fd import write_all
from ucspi.client.asking import ask
from ucspi.client.words import word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@command(b"http@")
def main(argv: Argv) -> int:
    host, page, port = word(argv, 1, b"0"), word(argv, 2, b""), word(argv, 3, b"80")
    request = b"GET /%s HTTP/1.0\nHost: %s:%s\n\n" % (page, host, port)
    for piece in body(ask(host, port, request)):
        write_all(1, piece)
    return 0


def body(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What comes after the first blank line of *pieces*, without other blank ones; the last line is ended."""
    within = False
    last = b"\n"  # the end of what we have seen
    for piece in pieces:
        data = last + piece
        if not within:
            _, blank, data = data.partition(b"\n\n")
            if not blank:
                last = piece[-1:] or last
                continue
            within, data = True, b"\n" + data
        while b"\n\n" in data:
            data = data.replace(b"\n\n", b"\n")
        last = data[-1:]
        yield data[1:]
    if within and last != b"\n":
        yield b"\n"
