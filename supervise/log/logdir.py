"""A directory of rotated logs.

    lock            locked by who writes here
    current         what is written to; mode 0644 meanwhile, 0744 when it has ended cleanly
    @LABEL.s        an old log, complete and on disk; LABEL is the moment when it was finished
    @LABEL.u        an old log that a crash has cut off, perhaps within a line
    previous        a full log that the processor reads
    processed       what the processor makes of it; mode 0744 when that is complete and on disk
    state           what the processor of the log before has left for this one
    newstate        what this one leaves for the next

What a start finds, and what it makes of it:

    current with x                  nothing was cut off: it is gone on with
    current without x, or none      a crash; state and newstate go, and
        processed with x            becomes @LABEL.s; previous goes
        processed without x         goes; previous, if there, becomes @LABEL.u
        current                     becomes @LABEL.u

The content of a log is put on disk before the log gets its x.  Its name is not, as in the
original: names reach the disk with whatever is written later.  When the power fails right
after a rotation, the log is found under the name that it had before, as current or
previous, with all its content, and is dealt with as above.

A log with a size of N bytes is finished at the last line end before N, or at N within a
line that is too long.  Which line end it is, is the original's choice, so that old logs
have the sizes that they always had: it takes 1024 bytes of input at a time, collects 512
bytes for each log, and finishes a log when such a piece ends with a line within the last
2000 bytes.  This is followed for the pieces around the end of a log only; what comes
before is written as it comes.
"""

from __future__ import annotations

import os
import stat
import time

from supervise.command import say
from supervise.errors import Temporary, reason
from supervise.files import lock
from supervise.log.folder import Folder
from supervise.program import run, spawn
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    Result = TypeVar("Result")

BLOCK = 1024  # bytes of input that the original takes at a time
BUFFER = 512  # bytes that it collects for a log
WHOLE = 1000  # bytes of a line that go into its buffer in one piece
MARGIN = 2000  # bytes before the size where a line end finishes a log
SMALLEST, LARGEST = 4096, 16777215  # sizes
PAUSE = 5  # seconds before what has failed is tried again


def warn(what: bytes) -> None:
    say(b"multilog: warning: " + what)


def insist(what: bytes, call: Callable[..., Result], *args: object) -> Result:
    """The result of *call*, which is tried until it succeeds; *what* is said each time it does not."""
    while True:
        try:
            return call(*args)
        except OSError as error:
            warn(b"unable to %s, pausing: %s" % (what, reason(error)))
            time.sleep(PAUSE)


def pieces(text: bytes, inside: bool) -> Iterator[bytes]:
    """*text*, the output of one block of input, as the original would write it.

    Args:
        inside: *text* begins within a line.
    """
    start = at = 0  # what is between them is in the buffer
    while at < len(text):
        end = text.find(b"\n", at) + 1 or len(text)
        if not inside:
            head = min(end - text.endswith(b"\n", at, end), at + WHOLE)
            if head - start > BUFFER:
                if start < at:
                    yield text[start:at]
                    start = at
                if head - at > BUFFER:
                    yield text[at:head]
                    start = head
        while end - start > BUFFER:
            yield text[start : start + BUFFER]
            start += BUFFER
        at, inside = end, False
    if start < len(text):
        yield text[start:]


class LogDir:
    """A directory of logs, open for writing.

    Args:
        name: the directory; made when it is missing.
        size: largest size of a log in bytes.
        keep: how many logs there may be, with current.
        processor: the shell command that old logs go through, if any.

    Raises:
        Temporary: it cannot be opened, or somebody else writes here.
    """

    def __init__(self, name: bytes, size: int, keep: int, processor: bytes | None) -> None:
        self.name, self.keep, self.processor = name, max(keep, 2), processor
        self.size = min(max(size, SMALLEST), LARGEST)
        self.pending: list[bytes] = []
        self.inside = False  # current ends within a line
        try:
            self.folder = Folder(name)
            self.folder.enter()
        except OSError as error:
            raise Temporary(b"unable to open directory " + name, error) from None
        try:
            self.lock = lock(b"lock", wait=False)
        except OSError as error:
            raise Temporary(b"unable to lock directory " + name, error) from None
        self.start()

    def start(self) -> None:
        """Go on with a clean current; or put away what a crash has left, and begin anew."""
        try:
            what = b"stat %b/current"
            if not self.is_clean(b"current"):
                what = b"clean up %b"
                self.recover()
                what = b"create %b/state"
                os.close(self.target(b"state"))
            what = b"append to %b/current"
            self.begin()
        except OSError as error:
            raise Temporary(b"unable to " + what % self.name, error) from None

    def recover(self) -> None:
        """Put away what a crash has left."""
        for name in (b"state", b"newstate"):
            self.folder.remove(name)
        if self.is_clean(b"processed"):
            self.folder.remove(b"previous")
            found = self.put_away(b"processed", b"s")
        else:
            self.folder.remove(b"processed")
            found = self.put_away(b"previous", b"u")
        if self.put_away(b"current", b"u") or found:
            self.prune()

    def is_clean(self, name: bytes) -> bool:
        """Whether the log *name* is there, complete and on disk."""
        status = self.folder.stat(name)
        return bool(status and status.st_mode & stat.S_IXUSR)

    def begin(self) -> None:
        """Open current, which is now unclean."""
        self.fd = self.folder.open(b"current", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o600)
        os.fchmod(self.fd, 0o644)
        self.length = os.fstat(self.fd).st_size

    def room(self) -> int:
        """How many bytes can be written before it matters how they are cut into pieces."""
        return self.size - MARGIN - self.length - 1

    def put(self, text: bytes) -> None:
        """Have *text* written with the next `flush`."""
        self.pending.append(text)

    def flush(self) -> None:
        """Write what was put, the output of one block of input if it is more than there is `room` for."""
        if not self.pending:
            return
        text = b"".join(self.pending)
        self.pending.clear()
        if len(text) <= self.room():
            self.append(text)
        else:
            for piece in pieces(text, self.inside):
                self.write_piece(piece)
        if text:
            self.inside = not text.endswith(b"\n")

    def write_piece(self, piece: bytes) -> None:
        """Write *piece*, and finish the log where it is full."""
        while piece:
            if self.length >= self.size:
                self.rotate()
            part = piece[: self.size - self.length]
            if self.length + len(part) >= self.size - MARGIN:
                part = part[: part.rfind(b"\n") + 1] or part
            self.append(part)
            if self.length >= self.size - MARGIN and part.endswith(b"\n"):
                self.rotate()
            piece = piece[len(part) :]

    def append(self, text: bytes) -> None:
        """Write all of *text*, however long the disk is full."""
        rest = memoryview(text)
        while rest:
            written = insist(b"write to %b/current" % self.name, os.write, self.fd, rest)
            self.length += written
            rest = rest[written:]

    def rotate(self) -> None:
        """Finish the log, begin a new one, and put the full one away."""
        self.settle(self.fd, b"current")
        if self.processor is None:
            self.put_away(b"current", b"s")
            insist(b"create %b/current" % self.name, self.begin)
        else:
            self.rename(b"current", b"previous")
            insist(b"create %b/current" % self.name, self.begin)
            self.process()
        self.prune()

    def end(self) -> None:
        """Leave a clean current and let others write here."""
        self.settle(self.fd, b"current")
        os.close(self.lock)
        self.folder.close()

    def settle(self, fd: int, name: bytes) -> None:
        """End the log *name* cleanly: its content, then its mode."""
        insist(b"write %b/%b to disk" % (self.name, name), os.fsync, fd)
        insist(b"set mode of %b/%b" % (self.name, name), os.fchmod, fd, 0o744)
        os.close(fd)

    def process(self) -> None:
        """Put previous away through the processor, which is run until it succeeds."""
        while (code := self.run_processor()) != 0:
            warn(b"processor %b in %b, pausing" % (b"crashed" if code < 0 else b"failed", self.name))
            time.sleep(PAUSE)
        self.settle(insist(b"open %b/processed" % self.name, self.made, b"processed"), b"processed")
        newstate = insist(b"open %b/newstate" % self.name, self.made, b"newstate")
        insist(b"write %b/newstate to disk" % self.name, os.fsync, newstate)
        os.close(newstate)
        self.rename(b"newstate", b"state")
        self.remove(b"previous")
        self.put_away(b"processed", b"s")

    def run_processor(self) -> int:
        """Run the processor on previous; its exit code, or a signal's number below 0."""
        fds = {
            0: insist(b"read %b/previous" % self.name, self.source, b"previous"),
            1: insist(b"create %b/processed" % self.name, self.target, b"processed"),
            4: insist(b"read %b/state" % self.name, self.source, b"state"),
            5: insist(b"create %b/newstate" % self.name, self.target, b"newstate"),
        }
        try:
            self.folder.enter()  # before the child has closed it
            pid = insist(b"fork for processor in " + self.name, spawn, self.processor_command, fds)
        finally:
            for fd in fds.values():
                os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def processor_command(self) -> int:
        assert self.processor is not None
        return run([b"sh", b"-c", self.processor], path=b"/bin", name=b"multilog")

    def source(self, name: bytes) -> int:
        """*name*, open for reading; made when it is missing, as state is after a clean start without a processor."""
        return self.folder.open(name, os.O_RDONLY | os.O_CREAT, 0o644)

    def target(self, name: bytes) -> int:
        """*name*, made or emptied, open for writing."""
        return self.folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def made(self, name: bytes) -> int:
        """*name*, which the processor has made or left to us to make, open for writing."""
        return self.folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def put_away(self, name: bytes, letter: bytes) -> bool:
        """Make the log *name* an old log; whether there was one."""
        status = insist(b"stat %b/%b" % (self.name, name), self.folder.stat, name)
        if status is None:
            return False
        if status.st_nlink > 1:  # as the original: it has been put away already
            self.remove(name)
        else:
            while self.folder.taken(old := b"%b.%b" % (label(), letter)):
                pass  # somebody has set the clock back: wait for the next nanosecond
            self.rename(name, old)
        return True

    def prune(self) -> None:
        """Remove the oldest logs that are more than may be kept besides current."""
        names = insist(b"read directory " + self.name, self.folder.names)
        old = sorted(name for name in names if name.startswith(b"@") and len(name) >= SIZE)
        for name in old[: -(self.keep - 1)]:
            self.remove(name)

    def rename(self, old: bytes, new: bytes) -> None:
        insist(b"rename %b to %b in directory %b" % (old, new, self.name), self.folder.rename, old, new)

    def remove(self, name: bytes) -> None:
        insist(b"remove %b/%b" % (self.name, name), self.folder.remove, name)
