"""Compress an old log with Zstandard (RFC 8878)."""

from __future__ import annotations

import os

from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Compress = Callable[[int, int], object]  # from one descriptor to another; raises OSError

USUAL, MOST = 3, 19  # levels


def compressor(digits: bytes) -> Compress | None:
    """What compresses one file into another, at the level that *digits* give; None for the level 0.

    Raises:
        Temporary: there is no such level, or the package zstandard is not there.
    """
    level = int(digits) if digits.isdigit() and len(digits) < 3 else USUAL if not digits else -1
    if not 0 <= level <= MOST:
        raise Temporary(b"unable to compress: no level from 0 to %d: z%b" % (MOST, digits))
    if level == 0:
        return None
    try:
        import zstandard  # 20 ms and 3 MB, for those who ask
    except ImportError as error:
        raise Temporary(b"unable to compress: " + str(error).encode()) from None

    def compress(source: int, target: int) -> None:
        with os.fdopen(source, "rb", closefd=False) as log, os.fdopen(target, "wb", closefd=False) as compressed:
            zstandard.ZstdCompressor(level, write_checksum=True).copy_stream(log, compressed)

    return compress
