"""Lines out of what is read, whatever pieces it comes in, and off to the actions."""

from __future__ import annotations

from supervise.log.pieces import BLOCK
from supervise.log.script import one_by_one
from supervise.log.selection import SEEN
from supervise.stamp import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.log.logdir import LogDir
    from supervise.log.script import Script

STAMP = SIZE + 1  # bytes that `t` adds to a line


class Logger:
    """Does what the script says, and keeps the line that is not yet complete.

    Args:
        script: the actions.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.stamping, self.logs = script.stamping, script.logs
        self.stamp = b""  # of lines that begin in what was read last
        self.begun = b""  # of a line of which less than SEEN bytes have come
        self.followers: list[LogDir] | None = None  # where the rest of a longer one goes

    @property
    def inside(self) -> bool:
        """Whether the input stands within a line."""
        return bool(self.begun) or self.followers is not None

    @property
    def waiting(self) -> int:
        """How many bytes of the input wait for the end of their line."""
        return len(self.begun) - STAMP if self.begun and self.stamping else len(self.begun)

    def go_on(self, first: bytes, followers: list[LogDir] | None) -> None:
        """Go on within a line that has the label *first* already, or the rest of which goes to *followers*."""
        self.begun = first + b" " if first and self.stamping else b""
        self.followers = followers

    def take(self, text: bytes, stamp: bytes) -> Iterator[int]:
        """Do with *text*, as it was read, what the actions say, and yield how many bytes are done each time.

        Args:
            stamp: the label of lines that begin in it.
        """
        self.stamp = stamp + b" " if self.stamping else b""
        at = 0
        while at < len(text):
            end = self.stretch(text, at)
            self.take_stretch(text[at:end])
            at = end
            yield at

    def stretch(self, text: bytes, at: int) -> int:
        """How far *text* can be taken at once: as far as all logs have room for it surely, or a block."""
        size = len(text) - at
        room = min((log.room() for log in self.logs), default=size * STAMP) - len(self.begun) - STAMP
        if size > room:
            size = max(BLOCK, room // BLOCK * BLOCK)
        while size > BLOCK:
            need = size
            if self.stamping:  # bytes.count looks at one byte at a time, bytes.replace does not
                need += STAMP * (size - len(text[at : at + size].replace(b"\n", b"")))
            if need <= room:
                break
            size = max(BLOCK, size * room // need // BLOCK * BLOCK)
        return min(at + size, len(text))

    def take_stretch(self, text: bytes) -> None:
        """Split *text* into lines, or what there is of them, and act on those."""
        if self.followers is not None:
            end = text.find(b"\n") + 1
            rest, text = (text[:end], text[end:]) if end else (text, b"")
            for log in self.followers:
                log.put(rest)
            if end:
                self.followers = None
        end = text.rfind(b"\n") + 1
        if end:
            lines = b"".join((self.begun or self.stamp, text[: end - 1].replace(b"\n", b"\n" + self.stamp), b"\n"))
            for some in one_by_one(lines) if self.script.interleaved else (lines,):
                self.script.act(some)
            self.begun = b""
        if end < len(text):
            self.begun = (self.begun or self.stamp) + text[end:]
            if len(self.begun) >= SEEN:
                self.followers = self.script.act(self.begun + b"\n", ended=False)
                self.begun = b""
        for log in self.logs:
            log.flush()

    def rotate(self) -> None:
        """Make an old log of every current that is not empty."""
        for log in self.logs:
            if log.length:
                log.rotate()

    def complete(self) -> None:
        """Complete the last line."""
        if self.inside:
            self.take_stretch(b"\n")

    def end(self) -> None:
        """End all logs cleanly."""
        for log in self.logs:
            log.end()

    def close(self) -> None:
        """Let others write to the directories."""
        for log in self.logs:
            log.close()
