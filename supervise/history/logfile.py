"""A file that multilog has written: its bytes, compressed or not, and its stamps.

`current` and what else is being written is held open, since it gets another name sooner or later;
an old log is opened when it is read. Compressed is what begins like gzip or Zstandard, whatever its name.
"""

from __future__ import annotations

import os

from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.history.moment import is_label
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

READ = 1 << 18  # bytes at a time
PACKED = 1 << 10  # bytes at a time of what is compressed, which can be a thousand times as many then
NEAR = 1 << 16  # bytes at a time where stamps are looked for
PROCESSED = b"processed"  # what will be an old log soon
FAR = 1 << 62  # the end of a file whose size does not matter
GZIP, ZSTANDARD, SKIPPED = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"  # how they begin
PACKED_ENDINGS = (b".zst", b".gz")
ENDINGS = [mark + packed for packed in (b"", *PACKED_ENDINGS) for mark in (b".s", b".u")]  # of the names of old logs


class Log:
    """A file of lines, or a stretch of it.

    Args:
        folder: the log directory.
        name: the file in it.
        fd: its descriptor, when it is held open; what can grow ends at its present size then.
        start: the offset where the stretch begins; of what is compressed, in the text.
        end: the offset behind it.
        inode: of the file, unless it is held open.
    """

    __slots__ = ("end", "fd", "folder", "inode", "label", "name", "start", "touched")

    def __init__(
        self, folder: bytes, name: bytes, fd: int = -1, start: int = 0, end: int = FAR, inode: int = 0
    ) -> None:
        self.folder, self.name, self.fd, self.start, self.end, self.inode = folder, name, fd, start, end, inode
        self.label = name[:SIZE] if is_label(name[:SIZE]) else b""
        if fd >= 0:
            status = os.fstat(fd)
            self.inode, self.touched = status.st_ino, status.st_mtime_ns
            if name != PROCESSED:  # which does not grow, and can be compressed
                self.end = min(end, status.st_size)

    @property
    def path(self) -> bytes:
        return self.folder + b"/" + self.name

    @property
    def moment(self) -> bytes:
        """The label of the moment when it was finished or last written to; none of its lines is younger."""
        return self.label or label(self.touched)

    @property
    def cut(self) -> bool:
        """Whether a crash has ended it, and with it its last line."""
        return self.name.startswith(b".u", SIZE)

    def between(self, start: int, end: int) -> Log:
        """Another stretch of it."""
        return Log(self.folder, self.name, self.fd, start, end, self.inode)

    def in_place(self) -> bool:
        """Whether what is held open still has its name."""
        try:
            return os.stat(self.path).st_ino == self.inode
        except FileNotFoundError:
            return False

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the stretch, one after another.

        Raises:
            FileNotFoundError: it is there no longer.
            OSError: it cannot be read.
            Temporary: what is compressed is damaged.
        """
        fd = self.open()
        try:
            if unpacker := self.unpacker(fd):
                yield from self.stretch(self.unpacked(fd, unpacker))
            else:
                at = self.start
                while block := os.pread(fd, min(READ, self.end - at), at):
                    yield block
                    at += len(block)
        finally:
            os.close(fd)

    def open(self) -> int:
        """A descriptor of it as it is, also if it has been compressed since we saw its name."""
        if self.fd >= 0:
            return os.dup(self.fd)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        for ending in ENDINGS:
            try:
                fd = os.open(self.folder + b"/" + self.label + ending, flags)
            except FileNotFoundError:
                continue
            self.name = self.label + ending
            return fd
        return os.open(self.path, flags)

    def plain(self) -> int:
        """A descriptor of its text, in which one can go back and forth.

        Raises:
            OSError, Temporary: as `blocks` does.
        """
        fd = self.open()
        try:
            unpacker = self.unpacker(fd)
            if unpacker is None:
                return os.dup(fd)
            text = b"".join(self.unpacked(fd, unpacker))
        finally:
            os.close(fd)
        fd = os.memfd_create("log")
        write_all(fd, text)
        return fd

    def unpacker(self, fd: int) -> Callable[[], Any] | None:
        """What makes a decompressor for what *fd* holds; None if it is not compressed.

        Raises:
            Temporary: it is said to be compressed, and too short for that.
        """
        begin = os.pread(fd, len(ZSTANDARD), 0) if self.label or self.name == PROCESSED else b""
        if len(begin) < len(ZSTANDARD) and self.name.endswith(PACKED_ENDINGS):
            raise Temporary(b"unable to read %s: compressed data is cut off" % self.path)
        if begin.startswith(GZIP):
            import zlib

            return lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)
        if begin == ZSTANDARD or begin.endswith(SKIPPED):  # the latter is of those who compress in parallel
            import zstandard

            return lambda: zstandard.ZstdDecompressor().decompressobj()
        return None

    def unpacked(self, fd: int, unpacker: Callable[[], Any]) -> Iterator[bytes]:
        """The text of *fd*, which is one compressed piece, or several behind each other."""
        at, unpack = 0, unpacker()
        while packed := os.pread(fd, PACKED, at):
            at += len(packed)
            while packed:
                if unpack.eof:
                    unpack = unpacker()
                try:
                    block = unpack.decompress(packed)
                except Exception:  # each library has its own
                    raise Temporary(b"unable to read %s: compressed data is damaged" % self.path) from None
                yield block
                packed = unpack.unused_data if unpack.eof else b""
        if not unpack.eof:
            raise Temporary(b"unable to read %s: compressed data is cut off" % self.path)

    def stretch(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """What of *blocks*, which are the whole text, lies in the stretch."""
        at = 0
        for block in blocks:
            if part := block[max(0, self.start - at) : max(0, self.end - at)]:
                yield part
            at += len(block)
            if at >= self.end:
                return

    def head(self) -> bytes:
        """The first stamp, if there is one near the beginning, else nothing.

        Raises:
            OSError: as `blocks` does.
        """
        text = b""
        try:
            for block in self.between(0, NEAR).blocks():
                text += block
        except Temporary:  # what there is will do
            pass
        return next(stamped(b"\n" + text, len(text)), (0, b""))[1]

    def last(self) -> bytes:
        """The last stamp, if there is one near the end of what is held open, else nothing."""
        size = os.fstat(self.fd).st_size
        return max((stamp for _, stamp in stamps(self.fd, max(0, size - NEAR), size)), default=b"")

    def back(self, lines: int) -> tuple[int, int]:
        """Go back over *lines* line ends: the offset behind the last of them, and how many were missing.

        Raises:
            OSError, Temporary: as `blocks` does.
        """
        fd = self.plain()
        try:
            at = min(self.end, os.fstat(fd).st_size)
            if self.cut and at > self.start and os.pread(fd, 1, at - 1) != b"\n":
                lines -= 1
                if not lines:
                    return at, 0
            while at > self.start:
                begin = max(self.start, at - READ)
                block = os.pread(fd, at - begin, begin)
                count = block.count(b"\n")
                if count >= lines:
                    return begin + nth_last(block, lines) + 1, 0
                at, lines = begin, lines - count
            return self.start, lines
        finally:
            os.close(fd)


def nth_last(block: bytes, number: int) -> int:
    """Where the line end in *block* is that is the *number*th from the end."""
    at = len(block)
    for _ in range(number):
        at = block.rindex(b"\n", 0, at)
    return at


def stamps(fd: int, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Offset and stamp of each line with a stamp that begins at *at* or behind it, before *end*."""
    while at < end:
        size = min(NEAR, end - at)
        text = os.pread(fd, size + SIZE + 1, at - 1) if at else b"\n" + os.pread(fd, size + SIZE, 0)
        for offset, stamp in stamped(text, size):
            yield at + offset, stamp
        at += size


def stamped(text: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and stamp of each line with a stamp in *text*, which begins with the line end before the first line.

    Args:
        size: how many bytes behind that line end a line must begin at most to be looked at.
    """
    at = text.find(b"\n@", 0, size + 1)
    while at >= 0:
        stamp, behind = text[at + 1 : at + 1 + SIZE], text[at + 1 + SIZE : at + 2 + SIZE]
        if is_label(stamp) and behind in (b" ", b"\n", b""):
            yield at, stamp
        at = text.find(b"\n@", at + 1, size + 1)
