"""A directory of rotated logs.

    lock            locked by who writes here
    current         what is written to; mode 0644 meanwhile, 0744 when it has ended cleanly
    @LABEL.s        an old log, complete and on disk; LABEL is the moment when it was finished
    @LABEL.s.zst    the same, compressed
    @LABEL.u        an old log that a crash has cut off, perhaps within a line
    previous        a full log that the processor or the compressor reads
    processed       what it makes of that; mode 0744 when that is complete and on disk
    state           what the processor of the log before has left for this one
    newstate        what this one leaves for the next
    inbox           what was read and is not in the logs yet, in the first directory only; see `inbox`
    left            on its way to @LABEL.u

What a start finds, and what it makes of it:

    current with x                  nothing was cut off: it is gone on with
    current without x, or none      a crash; state and newstate go, and
        processed with x            becomes @LABEL.s or @LABEL.s.zst; previous goes
        processed without x         goes; previous, if there, becomes @LABEL.u
        current                     becomes @LABEL.u

An inbox means that multilog was killed; what is known from it comes first, see `left`.  Then
current is gone on with whatever its mode, state stays if no processor was at work, and nothing is
lost, torn or written twice.

The content of a log is put on disk before the log gets its x.  Its name is not, as in the
original: names reach the disk with whatever is written later.  When the power fails right
after a rotation, the log is found under the name that it had before, as current or
previous, with all its content, and is dealt with as above.
"""

from __future__ import annotations

import os
import stat

from supervise.errors import Temporary
from supervise.files import lock
from supervise.log.folder import Folder
from supervise.log.patience import insist, pause
from supervise.log.pieces import MARGIN, pieces
from supervise.program import run, spawn
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.log.compressor import Compress
    from supervise.log.left import Left

SMALLEST, LARGEST = 4096, 16777215  # sizes
DEAF = 1 << 62  # bytes to pass over, more than there will be


class LogDir:
    """A directory of logs, open for writing.

    Args:
        name: the directory; made when it is missing.
        size: largest size of a log in bytes.
        keep: how many logs there may be, with current.
        processor: the shell command that old logs go through, if any.
        compress: what compresses old logs, if there is no processor.

    Raises:
        Temporary: it cannot be opened, or somebody else writes here.
    """

    def __init__(
        self, name: bytes, size: int, keep: int, processor: bytes | None, compress: Compress | None = None
    ) -> None:
        self.name, self.keep, self.processor, self.compress = name, max(keep, 2), processor, compress
        self.whole = b"s.zst" if compress else b"s"  # the ending of a log that is complete and on disk
        self.size = min(max(size, SMALLEST), LARGEST)
        self.pending: list[bytes] = []
        self.left = b""  # what a multilog that was killed has left in its inbox
        self.inside = False  # current ends within a line
        self.full = False  # a log has been finished since `put_full_away`
        self.done = 0  # bytes that were written of what is being taken
        self.skip, self.tail = 0, b""  # what had been written of it, by a multilog that was killed: so much, and this
        self.note: Callable[[], object] = lambda: None  # called where what was written is told apart
        try:
            self.folder = Folder(name)
            self.folder.enter()
        except OSError as error:
            raise Temporary(b"unable to open directory " + name, error) from None
        try:
            self.lock = lock(b"lock", wait=False)
        except OSError as error:
            self.folder.close()
            raise Temporary(b"unable to lock directory " + name, error) from None

    def start(self, left: Left | None = None) -> None:
        """Go on with a current that is clean or known; or put away what a crash has left, and begin anew.

        Args:
            left: what a multilog that was killed has left.

        Raises:
            Temporary: this cannot be done.
        """
        try:
            what = b"stat %b/current"
            known = left.recognise(self) if left else None
            going_on = bool(left and known and left.same_boot)
            begin = b"append to %b/current"
            if self.is_processing() if going_on else not self.is_clean(b"current"):
                what = b"clean up %b"
                self.recover(going_on)
                what = b"write to %b/state"
                os.close(self.target(b"state"))
                begin = b"write to %b/current"
            self.left = left.text if left else b""
            if known is False:
                self.set_aside(self.left)
            what = begin
            self.begin()
        except OSError as error:
            raise Temporary(b"unable to " + what % self.name, error) from None

    def recover(self, going_on: bool) -> None:
        """Put away what a crash has left, without current when that can be gone on with."""
        processed = self.is_clean(b"processed")
        for name in (b"state", b"newstate", b"previous" if processed else b"processed"):
            try:
                self.folder.remove(name)
            except OSError:  # as the original: it is in nobody's way
                pass
        found = self.put_away(b"processed", self.whole) if processed else self.put_away(b"previous", b"u")
        if not going_on:
            found = self.put_away(b"current", b"u") or found
        if found:
            self.prune()

    def set_aside(self, text: bytes) -> None:
        """Make *text*, which may be in the logs in part, an old log of its own."""
        if text:
            fd = insist(b"create %b/left" % self.name, self.target, b"left")
            while text:
                text = text[insist(b"write to %b/left" % self.name, os.write, fd, text) :]
            insist(b"write %b/left to disk" % self.name, os.fsync, fd)
            os.close(fd)
            self.put_away(b"left", b"u")
            self.prune()

    def is_processing(self) -> bool:
        """Whether the processor was at work."""
        return any(self.folder.stat(name) for name in (b"previous", b"processed"))

    def is_clean(self, name: bytes) -> bool:
        """Whether the log *name* is there, complete and on disk."""
        status = self.folder.stat(name)
        return bool(status and status.st_mode & stat.S_IXUSR)

    def begin(self) -> None:
        """Open current, which is now unclean."""
        self.fd = self.folder.open(b"current", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o600)
        os.fchmod(self.fd, 0o644)
        status = os.fstat(self.fd)
        self.inode, self.length = status.st_ino, status.st_size

    def place(self, takes: bool) -> bytes:
        """Where the directory stands, as a word; *takes*: the rest of the line before that belongs here."""
        length = self.length - len(self.tail)
        return b"%b:%d:%d:%d:%d" % (self.folder.identity, self.inode, length, self.done + self.skip, takes)

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
        if self.skip or self.tail:
            text = self.beyond(text)
        if len(text) <= self.room():
            self.append(text)
        else:
            self.append_in_pieces(text)
        if text:
            self.inside = not text.endswith(b"\n")

    def beyond(self, text: bytes) -> bytes:
        """What of *text* is not there already."""
        passed = min(self.skip, len(text))
        self.skip -= passed
        there = min(len(self.tail), len(text) - passed)
        if text[passed : passed + there] != self.tail[:there]:
            self.distrust()
            return b""
        self.tail = self.tail[there:]
        self.done += passed + there
        return text[passed + there :]

    def up_to_date(self) -> None:
        """What a multilog that was killed has left has been put in full, and is not asked for any more."""
        if self.tail:
            self.distrust()
        self.skip, self.left = 0, b""

    def distrust(self) -> None:
        """Put current away, as what it ends with is not what was left, and what was left beside it."""
        os.close(self.fd)
        self.put_away(b"current", b"u")
        self.set_aside(self.left)
        insist(b"create %b/current" % self.name, self.begin)
        self.tail, self.skip = b"", DEAF
        self.note()

    def append(self, text: bytes) -> None:
        """Write all of *text*, however long the disk is full."""
        rest = memoryview(text)
        while rest:
            written = insist(b"write to %b/current" % self.name, os.write, self.fd, rest)
            self.length += written
            self.done += written
            rest = rest[written:]

    def append_in_pieces(self, text: bytes) -> None:
        """Write *text*, and finish the log wherever it is full."""
        held: list[bytes] = []
        length = self.length  # with what is held
        for piece in pieces(text, self.inside):
            while piece:
                full = length >= self.size
                if not full:
                    part = piece[: self.size - length]
                    if length + len(part) >= self.size - MARGIN:
                        part = part[: part.rfind(b"\n") + 1] or part
                    held.append(part)
                    length += len(part)
                    piece = piece[len(part) :]
                    full = length >= self.size - MARGIN and part.endswith(b"\n")
                if full:
                    self.append(b"".join(held))
                    self.turn()
                    held, length = [], 0
        self.append(b"".join(held))

    def turn(self) -> None:
        """Finish the log and begin a new one."""
        self.put_full_away()
        self.note()
        self.settle(self.fd, b"current")
        if self.processor is None and self.compress is None:
            self.put_away(b"current", b"s")
        else:
            self.rename(b"current", b"previous")
        insist(b"create %b/current" % self.name, self.begin)
        self.full = True
        self.note()

    def put_full_away(self) -> None:
        """Have the log that was finished processed, if there is one, and let the oldest go that are too many."""
        if self.full:
            if self.processor is not None or self.compress is not None:
                self.process()
            self.prune()
            self.full = False

    def rotate(self) -> None:
        """Make an old log of current."""
        self.turn()
        self.put_full_away()

    def end(self) -> None:
        """Leave a clean current."""
        self.settle(self.fd, b"current")

    def close(self) -> None:
        """Let others write here."""
        os.close(self.lock)
        self.folder.close()

    def settle(self, fd: int, name: bytes) -> None:
        """End the log *name* cleanly: its content, then its mode."""
        insist(b"write %b/%b to disk" % (self.name, name), os.fsync, fd)
        insist(b"set mode of %b/%b" % (self.name, name), os.fchmod, fd, 0o744)
        os.close(fd)

    def process(self) -> None:
        """Put previous away through the processor or the compressor, which is run until it succeeds."""
        if self.compress:
            insist(b"compress %b/previous" % self.name, self.run_compressor)
        else:
            self.insist_on_processor()
        self.settle(insist(b"open %b/processed" % self.name, self.made, b"processed"), b"processed")
        if self.processor is not None:
            self.keep_state()
        self.remove(b"previous")
        self.put_away(b"processed", self.whole)

    def run_compressor(self) -> None:
        """Compress previous into processed."""
        assert self.compress
        source, target = self.source(b"previous"), self.target(b"processed")
        try:
            self.compress(source, target)
        finally:
            os.close(source)
            os.close(target)

    def insist_on_processor(self) -> None:
        """Run the processor until it succeeds."""
        while (code := self.run_processor()) != 0:
            pause(b"processor %b in %b, pausing" % (b"crashed" if code < 0 else b"failed", self.name))

    def keep_state(self) -> None:
        """Have what the processor has left for the next one in state."""
        newstate = insist(b"open %b/newstate" % self.name, self.made, b"newstate")
        insist(b"write %b/newstate to disk" % self.name, os.fsync, newstate)
        os.close(newstate)
        self.rename(b"newstate", b"state")

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
