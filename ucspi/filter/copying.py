"""Copy descriptor 0 to descriptor 1 and change the bytes on the way."""

from __future__ import annotations

from supervise.errors import TEMPORARY
from supervise.fd import chunks, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def copy(change: Callable[[bytes], bytes], rest: Callable[[], bytes] = bytes) -> int:
    """Copy until the end of input; an exit code.

    As the originals, we say nothing when reading or writing fails: there may be nobody but the other side to hear it.

    Args:
        change: what to write for a piece of input.
        rest: what to write at the end.
    """
    try:
        for data in chunks(0):
            write_all(1, change(data))
        write_all(1, rest())
    except OSError:
        return TEMPORARY
    return 0
