"""Log directories as multilog leaves them."""

from __future__ import annotations

import gzip
from pathlib import Path

import zstandard

from supervise.stamp import label

EPOCH = 1_800_000_000 * 1_000_000_000  # nanoseconds since 1970 of second 0 in the logs here
SECOND = 1_000_000_000


def at(second: float) -> bytes:
    """The label of a second of the logs here."""
    return label(EPOCH + int(second * SECOND))


def lines(*seconds: float, what: str = "line") -> bytes:
    """A line with a stamp for each of *seconds*."""
    return b"".join(b"%b %b %g\n" % (at(second), what.encode(), second) for second in seconds)


def put_old(folder: Path, second: float, content: bytes, ending: str = ".s") -> Path:
    """Make an old log that was finished at *second*; it is compressed if *ending* says so."""
    if ending.endswith(".zst"):
        content = zstandard.ZstdCompressor().compress(content)
    elif ending.endswith(".gz"):
        content = gzip.compress(content)
    return put(folder, at(second).decode() + ending, content)


def put(folder: Path, name: str, content: bytes, mode: int = 0o644) -> Path:
    """Make a file in a log directory."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (folder / name).chmod(mode)
    return folder / name


def put_current(folder: Path, content: bytes) -> Path:
    """Make the log that is being written."""
    return put(folder, "current", content)
