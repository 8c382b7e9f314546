"""Reads of a log directory what has not been read before.

How far has been read is known

    of a log that was finished, by its label: it has been read to its end;
    of one that was being written, by its first line: so many bytes, up to a line end.  It is found by this line
    again when it has got another name, or has been compressed.

Logs are read in their order, as one goes on where the other ends, so behind one that cannot be opened or read for now
none is read.  What of a compressed log is damaged is passed over.

Of a log that a processor has changed nothing is found again.  When one is missing of which a part had been read, the
oldest log that we do not know and that does not begin behind the last line that was read is taken for it.
"""

from __future__ import annotations

from supervise.command import say
from supervise.errors import Temporary
from supervise.history.directory import logs_in, old_logs, release, unable
from supervise.history.logfile import FAR
from supervise.stamp import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.history.directory import Complain
    from supervise.history.logfile import Log

    # Label -> WHOLE, or first line -> offset behind what was read, and the last stamp in that.
    Read = dict[bytes, tuple[int, bytes]]

BEGIN = 4096  # bytes in which the first line ends
ENOUGH = 1 << 17  # bytes that are worth while; what is compressed comes in small blocks
WHOLE = -1, b""  # of what has been read to its end


class Reading:
    """The logs of *folder* that have not been read, or not to their end.

    Args:
        read: how far they have been read; is changed as they are.
        complain: is called with one line about each file that cannot be read.

    Raises:
        OSError: the folder cannot be read.
    """

    def __init__(self, folder: bytes, read: Read, complain: Complain) -> None:
        self.folder, self.read, self.complain = folder, read, complain
        self.certain = True  # that all logs have been seen
        self.heads: dict[int, bytes] = {}  # by place in logs
        self.changed: set[int] = set()  # places of those that a processor has changed
        self.logs = logs_in(folder, self.stop)
        if not self.certain:  # those that are being written come last
            release(self.logs)
            self.logs = [log for log in self.logs if log.label]
        for at, log in enumerate(self.logs):
            if log.label in read:
                continue
            try:
                self.heads[at] = self.head(log)
            except OSError as error:
                self.stop(unable(log.path, error))
                break
        if self.certain:
            self.account()

    def stop(self, line: bytes) -> None:
        """Something cannot be read for now, as *line* says; what comes behind it is left for the next time."""
        self.certain = False
        self.complain(line)

    def head(self, log: Log) -> bytes:
        """The first line of *log*; nothing if it has none, or none that can be read ever."""
        text = b""
        try:
            for block in log.between(0, BEGIN).blocks():
                text += block
        except FileNotFoundError:  # it was one too many, and has been removed
            return b""
        except Temporary as trouble:
            if b"\n" not in text:
                self.finish(log)
                self.complain(trouble.line)
                return b""
        if text and not any(line.startswith(b"@") or line[:1].isdigit() for line in text.split(b"\n")):
            self.complain(log.path + b" has no stamps: they come from multilog t")
            return b""
        line, end, _ = text.partition(b"\n")
        return line if end or len(text) >= BEGIN else b""

    def finish(self, log: Log, head: bytes = b"") -> None:
        """*log*, which begins with the line *head*, has been read to its end, unless it can grow."""
        if log.label:
            self.read.pop(head, None)
            self.read[log.label] = WHOLE

    def account(self) -> None:
        """Look for what has become of the logs that had been read in part; forget what is there no longer."""
        there = {name[:SIZE] for name in old_logs(self.folder).values()}
        missing = self.read.keys() - set(self.heads.values()) - there
        lost = [self.read[name] for name in missing if self.read[name] != WHOLE]
        last = max((stamp for _, stamp in lost), default=b"")
        for at, head in self.heads.items():
            label = self.logs[at].label
            if len(self.changed) < len(lost) and label and head and head not in self.read and head[:SIZE] <= last:
                self.changed.add(at)
                self.read[label] = WHOLE
        if len(lost) > len(self.changed):
            say(b"zstore: warning: %b: a log has gone that had been read in part: lines may be missing" % self.folder)
        for name in missing:
            del self.read[name]

    def blocks(self) -> Iterator[bytes]:
        """What has not been read, in blocks of whole lines; with each, `read` says how far that is."""
        try:
            for at, head in self.heads.items():
                if head and at not in self.changed:
                    yield from self.blocks_of(self.logs[at], head)
        except OSError as error:
            self.stop(unable(self.logs[at].path, error))
        finally:
            release(self.logs)

    def blocks_of(self, log: Log, head: bytes) -> Iterator[bytes]:
        """As `blocks`, of one log; raises OSError when it cannot be read."""
        (offset, last), rest = self.read.get(head, (0, b"")), b""
        try:
            for block in gathered(log.between(offset, FAR).blocks()):
                text = rest + block
                end = text.rfind(b"\n") + 1
                rest = text[end:]
                if end:
                    offset += end
                    begin = text.rfind(b"\n", 0, end - 1) + 1
                    last = max(last, text[begin : begin + SIZE])
                    self.read[head] = offset, last
                    yield text[:end]
        except FileNotFoundError:
            return
        except Temporary as trouble:
            self.complain(trouble.line)
            rest = b""
        self.finish(log, head)
        if rest and log.label and not log.cut:
            yield rest + b"\n"


def gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """*blocks*, put together to larger ones; what there was before an error comes first."""
    held: list[bytes] = []
    size = 0
    try:
        for block in blocks:
            held.append(block)
            size += len(block)
            if size >= ENOUGH:
                yield b"".join(held)
                held, size = [], 0
    except (OSError, Temporary):
        yield b"".join(held)
        raise
    yield b"".join(held)
