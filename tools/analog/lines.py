"""Lines of descriptor 0 and to descriptor 1, many at a time."""

from __future__ import annotations

from itertools import islice

from supervise.errors import Temporary
from supervise.log.pipe import Pipe
from supervise.log.tai64n import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 1 << 18  # bytes at a time, which is fastest
CHUNK = 4096  # lines at a time


class Lines:
    """Iterates over lists of complete lines, without their line ends.

    `rest` is what stands behind the last line end.
    """

    def __init__(self) -> None:
        self.rest = b""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Raises Temporary when the input cannot be read."""
        pipe = Pipe()
        try:
            while block := pipe.read(BLOCK):
                lines = (self.rest + block).split(b"\n")
                self.rest = lines.pop()
                yield lines
        except OSError as error:
            raise Temporary(b"unable to read input", error) from None


def all_lines() -> Iterator[bytes]:
    """All lines, one by one; what stands behind the last line end is one too."""
    source = Lines()
    for lines in source:
        yield from lines
    if source.rest:
        yield source.rest


def put(lines: Iterable[bytes]) -> None:
    """Write *lines*, each with its line end, to descriptor 1; raises Temporary when that cannot be done."""
    lines = iter(lines)
    while chunk := list(islice(lines, CHUNK)):
        write(text(chunk))


def text(lines: list[bytes]) -> bytes:
    """*lines*, each with its line end."""
    return b"\n".join([*lines, b""])
